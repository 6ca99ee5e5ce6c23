/** Boxes of allowlists: together exactly what the rules allow, and never two for one packet. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCidr } from '../addresses.ts';
import { makeAttachment } from '../lab/scene.ts';
import { disjointBoxes, type RangeRule } from './egress-boxes.ts';
import { boxText, elementsOf, generationOf, isWider } from './elements.ts';

const rule = (to: string, protocol: RangeRule['protocol'], ...ports: [number, number][]): RangeRule => ({
  range: parseCidr(to),
  protocol,
  ports: ports.length === 0 ? null : ports.map(([first, last]) => ({ first, last })),
});

describe('disjointBoxes', () => {
  it('splits what overlaps', () => {
    const boxes = disjointBoxes([rule('10.0.0.0/8', 'tcp', [80, 80]), rule('10.1.0.0/16', 'any')], 4);
    expect(boxes.map((box) => boxText(box, 4))).toEqual([
      '10.0.0.0-10.0.255.255 . 6 . 80',
      '10.1.0.0-10.1.255.255 . 0-255 . 0-65535',
      '10.2.0.0-10.255.255.255 . 6 . 80',
    ]);
  });

  it('merges what touches', () => {
    const rules = [
      rule('192.0.2.0/25', 'any', [1, 5], [4, 9]),
      rule('192.0.2.128/25', 'any', [10, 10], [1, 9]),
      rule('192.0.2.0/25', 'any', [10, 10]),
    ];
    expect(disjointBoxes(rules, 4).map((box) => boxText(box, 4))).toEqual([
      '192.0.2.0-192.0.2.255 . 6 . 1-10',
      '192.0.2.0-192.0.2.255 . 17 . 1-10',
    ]);
  });

  it('lets through exactly what a rule allows, by one box', () => {
    const rules = fc.array(
      fc.record({
        low: fc.integer({ min: 0, max: 15 }),
        prefix: fc.integer({ min: 28, max: 32 }),
        protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'any' as const),
        ports: fc.option(
          fc.array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 7 })), {
            minLength: 1,
            maxLength: 3,
          }),
        ),
      }),
      { maxLength: 6 },
    );
    const packet = fc.record({
      address: fc.integer({ min: 0, max: 15 }),
      protocol: fc.constantFrom(1, 6, 17),
      port: fc.integer({ min: 0, max: 8 }),
    });
    fc.assert(
      fc.property(rules, packet, (given, { address, protocol, port }) => {
        const all = given.map(({ low, prefix, protocol: name, ports }) =>
          rule(
            `10.0.0.${low}/${prefix}`,
            name,
            ...(ports ?? []).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]),
          ),
        );
        const value = 0x0a000000n + BigInt(address);
        const isAllowed = all.some(({ range, protocol: name, ports }) => {
          const isThere = range.first <= value && range.last >= value;
          const isProtocol = name === 'any' || protocol === (name === 'tcp' ? 6 : 17);
          const isPort =
            ports === null ||
            (protocol !== 1 && ports.some(({ first, last }) => first <= port && port <= last));
          return isThere && isProtocol && isPort;
        });
        const boxes = disjointBoxes(all, 4).filter(
          ({ first, last, protocols, ports }) =>
            first <= value &&
            value <= last &&
            protocols[0] <= protocol &&
            protocol <= protocols[1] &&
            ports[0] <= port &&
            port <= ports[1],
        );
        expect(boxes.length).toBe(isAllowed ? 1 : 0);
      }),
    );
  });
});

it('compares policies', () => {
  const one = { to: '192.0.2.0/24', protocol: 'tcp', ports: null } as const;
  const other = { to: 'example.com', protocol: 'any', ports: null } as const;
  const list = (...rules: (typeof one | typeof other)[]) => ({ kind: 'allowlist', rules }) as const;
  expect(isWider({ kind: 'allow' }, list(one))).toBe(true);
  expect(isWider(list(one, other), list(one))).toBe(true);
  expect(isWider(list(), { kind: 'deny' })).toBe(true);
  expect(isWider(list(one), list(one, other))).toBe(false);
  expect(isWider(list(one), { kind: 'allow' })).toBe(false);
  expect(isWider({ kind: 'deny' }, list())).toBe(false);
});

it('marks the same policy of another machine differently', () => {
  const [one, other] = [makeAttachment(1), makeAttachment(2)];
  expect(generationOf(one)).toBe(generationOf({ ...one, ports: [], name: 'renamed' }));
  expect(generationOf(one)).not.toBe(generationOf(other));
  expect(elementsOf(one, null, [7]).find(({ set }) => set === 'flows4')?.key).toBe(`${one.ipv4} . 7`);
});
