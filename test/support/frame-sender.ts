/** Puts the program `guest-frames` into guests and runs it there. */
import type { FlotillaClient } from '../../sdk/src/index.ts';
import { buildGoProgram } from './go-program.ts';

const program = '/usr/local/bin/guest-frames';

export class FrameSender {
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  static async build(): Promise<FrameSender> {
    return new FrameSender(await buildGoProgram('guest-frames'));
  }

  async install(client: FlotillaClient, machine: string): Promise<void> {
    await client.files.write(machine, program, new Blob([this.#bytes]).stream(), {
      mode: '0755',
      parents: true,
    });
  }

  /** Sends each frame once. */
  async once(client: FlotillaClient, machine: string, frames: readonly Buffer[]): Promise<void> {
    await succeed(client, machine, [
      program,
      'once',
      'eth0',
      ...frames.map((frame) => frame.toString('hex')),
    ]);
  }

  /** Sends the frames over and over, until the machine stops. */
  async forever(client: FlotillaClient, machine: string, frames: readonly Buffer[]): Promise<void> {
    await succeed(client, machine, ['sh', '-c', this.foreverLine(frames)]);
  }

  /** A line of a shell script that does the same. */
  foreverLine(frames: readonly Buffer[]): string {
    const words = frames.map((frame) => frame.toString('hex')).join(' ');
    return `setsid ${program} forever eth0 ${words} >/dev/null 2>&1 </dev/null &`;
  }

  /** Sends a datagram to each of the ports, all from one port. */
  async flows(
    client: FlotillaClient,
    machine: string,
    address: string,
    first: number,
    last: number,
  ): Promise<void> {
    await succeed(client, machine, [program, 'flows', address, `${first}`, `${last}`]);
  }
}

async function succeed(client: FlotillaClient, machine: string, command: string[]): Promise<void> {
  const { exit_code: exitCode, stderr } = await client.machines.exec(machine, { command, timeout: 120 });
  if (exitCode !== 0) throw new Error(`${command[0]} in ${machine}: exit code ${exitCode}: ${stderr}`);
}
