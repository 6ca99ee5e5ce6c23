import { expect, it } from 'vitest';
import { missingOptions, parseTscKhz, qemuCapabilities } from './host-facts.ts';

it('takes the clock frequency from the first processor', () => {
  expect(parseTscKhz('model name\t: x\nbogomips\t: 4000.00\n\nbogomips\t: 3999.98\n')).toBe(2_000_000);
  expect(parseTscKhz('bogomips\t: 5187.81\n')).toBe(2_593_905);
});

it('does not guess a frequency', () => {
  expect(parseTscKhz('model name : ARM\n')).toBeNull();
  expect(parseTscKhz('bogomips\t: 0.00\n')).toBeNull();
});

it('promises no more than the host has', () => {
  const { vcpuCountMax, memoryMibMin, memoryMibMax } = qemuCapabilities();
  expect(vcpuCountMax).toBeGreaterThanOrEqual(1);
  expect(memoryMibMax).toBeGreaterThan(memoryMibMin);
});

it('says what the host lacks for an option, only where it lacks it', () => {
  const bare = missingOptions(() => false);
  expect(bare.gpu_passthrough).toBe(
    'the engine passes no host devices to guests, and the host has no VFIO (/dev/vfio/vfio)',
  );
  const rich = missingOptions(() => true);
  expect(rich.gpu_passthrough).toBe('the engine passes no host devices to guests');
});
