import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { connectionsMax, type Kept, Ports } from './ports.ts';

const kept = (): Kept => ({ client: {} as Kept['client'], stream: new PassThrough(), isReused: false });

/** Turns of one port that have begun, in order, by number. */
function turnsOf(ports: Ports, count: number, key = 'web 1 80') {
  const begun: number[] = [];
  const turns = Array.from({ length: count }, (_, number) => ports.turn(key, () => begun.push(number)));
  for (const turn of turns) turn.start();
  return { begun, turns };
}

test('requests beyond the bound of a port wait in order, and those of another port do not', () => {
  const ports = new Ports();
  const { begun, turns } = turnsOf(ports, connectionsMax + 3);
  expect(begun).toHaveLength(connectionsMax);
  expect(turnsOf(ports, 1, 'web 1 81').begun).toEqual([0]);
  turns[5]?.end();
  turns[5]?.end();
  expect(begun.slice(connectionsMax)).toEqual([connectionsMax]);
  turns[connectionsMax + 1]?.giveUp();
  turns[6]?.end();
  turns[7]?.end();
  expect(begun.slice(connectionsMax)).toEqual([connectionsMax, connectionsMax + 2]);
});

test('a request that gave up after it began keeps its place until its end', () => {
  const ports = new Ports();
  const { begun, turns } = turnsOf(ports, connectionsMax + 1);
  turns[0]?.giveUp();
  expect(begun).toHaveLength(connectionsMax);
  turns[0]?.end();
  expect(begun).toHaveLength(connectionsMax + 1);
});

test('the connection that was used last is used again, and one that has closed is not', async () => {
  const ports = new Ports();
  const [turn] = turnsOf(ports, 1).turns;
  const [first, second] = [kept(), kept()];
  for (const each of [first, second]) {
    turn?.opened(each);
    turn?.keep(each);
  }
  expect(turn?.idle()).toBe(second);
  expect(second.isReused).toBe(true);
  first.stream.destroy();
  expect(turn?.idle()).toBeNull();
});

test('connections that wait for a request are bounded, and count with those that carry one', () => {
  const ports = new Ports();
  const { turns } = turnsOf(ports, connectionsMax);
  const all = turns.map((turn) => {
    const each = kept();
    turn.opened(each);
    turn.keep(each);
    return each;
  });
  expect(all.filter(({ stream }) => !stream.destroyed)).toHaveLength(32);
  turns[0]?.makeRoom();
  expect(all.filter(({ stream }) => !stream.destroyed)).toHaveLength(31);
  expect(ports.idleCount).toBe(31);
});

test('nothing is left of a port without requests and connections', async () => {
  const ports = new Ports();
  const [turn] = turnsOf(ports, 1).turns;
  const each = kept();
  turn?.opened(each);
  turn?.keep(each);
  turn?.end();
  expect(ports.size).toBe(1);
  ports.close();
  await expect.poll(() => [ports.size, ports.idleCount]).toEqual([0, 0]);
});
