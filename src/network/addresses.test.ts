/** Addresses and names as texts. */
import { describe, expect, it, test } from 'vitest';
import { contains, formatAddress, formatCidr, gatewayOf, parseAddress, parseCidr } from './addresses.ts';
import { addressesIn, isPrivate } from './dns/answers.ts';
import { isDomainName, machineNameIn, matchesDomain, reversedAddress } from './dns/names.ts';

describe('addresses', () => {
  test.each([
    ['10.77.0.1', '10.77.0.1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::', '::'],
    ['2001:DB8:0:0:1:0:0:0', '2001:db8:0:0:1::'],
    ['fd77::5', 'fd77::5'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('reads %s and writes %s', (text, written) => {
    const { family, value } = parseAddress(text);
    expect(formatAddress(family, value)).toBe(written);
  });

  test.each(['10.0.0.0/33', '10.0.0', '::1/129', '10.0.0.0/', '10.0.0.0/8/8', 'fe80::1%eth0', 'x'])(
    'refuses %s as a network',
    (text) => {
      expect(() => parseCidr(text)).toThrow(/not a network/);
    },
  );

  it('ignores bits behind the prefix', () => {
    expect(formatCidr(parseCidr('10.77.200.9/16'))).toBe('10.77.0.0/16');
    expect(gatewayOf(parseCidr('fd77::9/64'))).toBe('fd77::1');
    expect(contains(parseCidr('10.0.0.0/8'), '10.255.255.255')).toBe(true);
    expect(contains(parseCidr('::/0'), '10.0.0.1')).toBe(false);
  });

  test.each([
    '10.1.1.1',
    '127.0.0.1',
    '169.254.169.254',
    '::ffff:10.0.0.1',
    'fd00::1',
    '64:ff9b::a00:1',
    '100.64.0.1',
  ])('%s is private', (address) => expect(isPrivate(address)).toBe(true));
});

describe('names', () => {
  it('match rules', () => {
    expect(matchesDomain('example.com', 'EXAMPLE.com.')).toBe(true);
    expect(matchesDomain('example.com', 'a.example.com')).toBe(false);
    expect(matchesDomain('*.Example.com', 'a.b.example.com')).toBe(true);
    expect(matchesDomain('*.example.com', 'example.com')).toBe(false);
    expect(matchesDomain('*.example.com', 'badexample.com')).toBe(false);
  });

  it('have plain letters only', () => {
    expect(isDomainName('_sip._tcp.example.com')).toBe(true);
    for (const name of ['', 'a..b', '-a', 'a b', 'ü.example', 'a'.repeat(64), '*.example.com'])
      expect(isDomainName(name)).toBe(false);
  });

  it('of machines and addresses', () => {
    expect(machineNameIn('Web.flotilla.internal')).toBe('web');
    expect(machineNameIn('web.notflotilla.internal')).toBeNull();
    expect(reversedAddress('2.0.77.10.in-addr.arpa')).toBe('10.77.0.2');
    expect(reversedAddress('2.0.77.300.in-addr.arpa')).toBeNull();
  });

  it('lead to addresses through aliases, and only through those', () => {
    const packet = {
      answers: [
        { type: 'CNAME', name: 'www.example', data: 'edge.example', ttl: 20 },
        { type: 'A', name: 'edge.example', data: '192.0.2.1', ttl: 300 },
        { type: 'A', name: 'stray.example', data: '192.0.2.2', ttl: 300 },
        { type: 'CNAME', name: 'loop.example', data: 'loop.example', ttl: 1 },
      ],
    } as const;
    expect(addressesIn({ answers: [...packet.answers] }, 'WWW.example')).toEqual([
      { address: '192.0.2.1', ttlS: 20 },
    ]);
    expect(addressesIn({ answers: [...packet.answers] }, 'loop.example')).toEqual([]);
  });
});
