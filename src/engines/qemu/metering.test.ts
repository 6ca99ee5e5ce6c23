import { describe, expect, it } from 'vitest';
import { readReport } from './metering.ts';

describe('a guest’s report of its memory', () => {
  it('has what the guest’s driver knows', () => {
    expect(
      readReport({
        'stat-total-memory': 1000,
        'stat-free-memory': 0,
        'stat-available-memory': 500,
        'stat-disk-caches': 2 ** 64,
        'stat-htlb-pgalloc': 1,
      }),
    ).toEqual({
      totalBytes: 1000,
      freeBytes: 0,
      availableBytes: 500,
      // QEMU's word for a figure that the guest did not report.
      cacheBytes: null,
      majorFaults: null,
    });
  });

  it('has nothing of values that cannot be', () => {
    const lies = { 'stat-total-memory': -1, 'stat-free-memory': 'a', 'stat-available-memory': Number.NaN };
    expect(Object.values(readReport(lies))).toEqual([null, null, null, null, null]);
  });
});
