/** What `GET /machines/{id}/metrics` answers: figures of one moment. What nobody measured is null, never 0. */
import { z } from '@hono/zod-openapi';
import type { Machine } from '../../../core/machines/machine.ts';
import type { MachineUsage } from '../../../core/machines/usage.ts';
import type { NetworkUsage } from '../../../core/ports/network.ts';
import { machineStatus } from './schema.ts';
import { statusWord } from './translate.ts';

const figure = (description: string, example: number) =>
  z
    .number()
    .nullable()
    .openapi({ description: `${description} Null: not measured.`, example });
const mib = 2 ** 20;

export const metricsBody = z
  .object({
    machine_id: z.string().openapi({ example: 'k3v9x2m1q8zt' }),
    status: machineStatus,
    measured_at: z.iso.datetime().openapi({ example: '2026-07-01T12:00:00.000Z' }),
    uptime_seconds: z
      .number()
      .openapi({ description: 'Since its latest start; 0 while it does not run.', example: 42.5 }),
    cpu: z.object({
      vcpu_count: z.int().openapi({ example: 1 }),
      time_ms: figure(
        'Processor time of the host since its latest start. The difference of two answers, divided by the time between them, is the usage.',
        1500,
      ),
    }),
    memory: z.object({
      size_bytes: z.int().openapi({ description: 'What the machine may use.', example: 536_870_912 }),
      host_used_bytes: figure('Memory of the host that it occupies, with the VMM’s own.', 134_217_728),
      guest: z
        .object({
          total_bytes: figure('Without the kernel’s own code and tables.', 503_316_480),
          free_bytes: figure('Not used for anything.', 402_653_184),
          available_bytes: figure('What programs could get without swapping.', 450_000_000),
          cache_bytes: figure('Contents of files.', 25_165_824),
          major_faults: figure('Pages read from a disk since the guest’s boot.', 211),
        })
        .nullable()
        .openapi({
          description:
            'What the guest’s kernel says. Null: it did not answer, for example because the machine is paused.',
        }),
    }),
    disk: z.object({
      size_bytes: z.int().openapi({ description: 'Of its root disk.', example: 10_737_418_240 }),
      read_bytes: figure('Read from its disks since its latest start.', 4096),
      write_bytes: figure('Written to its disks since its latest start.', 4096),
      reads: figure('Requests that read, since its latest start.', 1),
      writes: figure('Requests that wrote, since its latest start.', 1),
    }),
    network: z.object({
      rx_bytes: figure('Received by its network.', 0),
      tx_bytes: figure('Sent by its network.', 0),
      rx_packets: figure('Received by its network.', 0),
      tx_packets: figure('Sent by its network.', 0),
    }),
  })
  .openapi('MachineMetrics');

export function toMetricsBody(
  machine: Machine,
  usage: MachineUsage,
  network: NetworkUsage | null,
  at: Date,
): z.infer<typeof metricsBody> {
  const { guestMemory } = usage;
  const { vcpuCount, memoryMib, diskMib } = machine.spec;
  return {
    machine_id: machine.id,
    status: statusWord(machine.state),
    measured_at: at.toISOString(),
    uptime_seconds: usage.uptimeMs / 1000,
    cpu: { vcpu_count: vcpuCount, time_ms: usage.processorTimeMs },
    memory: {
      size_bytes: memoryMib * mib,
      host_used_bytes: usage.memoryBytes,
      guest: guestMemory && {
        total_bytes: guestMemory.totalBytes,
        free_bytes: guestMemory.freeBytes,
        available_bytes: guestMemory.availableBytes,
        cache_bytes: guestMemory.cacheBytes,
        major_faults: guestMemory.majorFaults,
      },
    },
    disk: {
      size_bytes: diskMib * mib,
      read_bytes: usage.diskReadBytes,
      write_bytes: usage.diskWriteBytes,
      reads: usage.diskReads,
      writes: usage.diskWrites,
    },
    network: {
      rx_bytes: network?.receivedBytes ?? null,
      tx_bytes: network?.sentBytes ?? null,
      rx_packets: network?.receivedPackets ?? null,
      tx_packets: network?.sentPackets ?? null,
    },
  };
}
