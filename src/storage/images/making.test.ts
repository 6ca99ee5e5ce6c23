import { describe, expect, it } from 'vitest';
import { importLimitsDefault, planRoom } from './making.ts';

const gib = 2 ** 30;
/** Free space. */
const facts = (freeGib: number) => ({ bavail: (freeGib * gib) / 4096, bsize: 4096 });

describe('how much an archive may hold', () => {
  it('is the limit if there is room, and exceeding it is the archive’s fault', () => {
    const room = planRoom(facts(1000), importLimitsDefault);
    expect(room).toMatchObject({ bytesMax: 64 * gib, entriesMax: 2_000_000 });
    expect([room.tooLarge.code, room.tooMany.code]).toEqual(['invalid', 'invalid']);
  });

  it('is a quarter of the bytes beyond the reserve', () => {
    const room = planRoom(facts(41), importLimitsDefault);
    expect(room.bytesMax).toBe(10 * gib);
    expect(room.tooLarge.code).toBe('exhausted');
  });

  it('is nothing if they are used up', () => {
    expect(() => planRoom(facts(1), importLimitsDefault)).toThrow('no room');
  });
});
