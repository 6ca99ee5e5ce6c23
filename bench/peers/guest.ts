/** A running guest that is reached without Flotilla: by qemu-guest-agent and by ssh. */

import { readFile } from 'node:fs/promises';
import { sleep } from '../../src/lib/abort.ts';
import { freePort } from '../../src/lib/free-port.ts';
import { ProcessError } from '../../src/lib/process.ts';
import { type Blueprint, RawMachine } from '../raw-machine.ts';
import { onePiece } from './image.ts';
import { guestCommands, qgaSocketName, withPeers } from './plan.ts';
import { QgaClient } from './qga-client.ts';
import { makeSshKey, type SshTarget, sshTrue } from './ssh.ts';

const commandTimeoutMs = 30_000;
const sshUpTimeoutMs = 60_000;
const sshRetryMs = 200;

export class PeerGuest {
  readonly #machine: RawMachine;
  readonly #qga: QgaClient;
  readonly #ssh: SshTarget;

  private constructor(machine: RawMachine, qga: QgaClient, ssh: SshTarget) {
    this.#machine = machine;
    this.#qga = qga;
    this.#ssh = ssh;
  }

  /**
   * Boots the guest from `image` and resolves when both servers answer. Raises `unsupported` without an ssh
   * client on this host, and `guest` when a server does not come up.
   */
  static async start(
    blueprint: Blueprint,
    image: string,
    directory: string,
    signal: AbortSignal,
  ): Promise<PeerGuest> {
    const keyFile = await makeSshKey(directory, signal);
    const publicKey = await readFile(`${keyFile}.pub`, 'utf8');
    const port = await freePort();
    const machine = await RawMachine.start(withPeers(blueprint, image, port), directory, signal);
    try {
      for (const { argv, stdin } of guestCommands(publicKey)) {
        const input = stdin === undefined ? {} : { stdin: onePiece(Buffer.from(stdin)) };
        await machine.run({ argv, ...input, timeoutMs: commandTimeoutMs }, signal);
      }
      const qga = await QgaClient.open(machine.file(qgaSocketName), signal);
      const guest = new PeerGuest(machine, qga, { port, keyFile });
      try {
        await guest.#sshUp(signal);
        return guest;
      } catch (error) {
        qga[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  /** Runs `true` through qemu-guest-agent. */
  async overQga(signal: AbortSignal): Promise<void> {
    await this.#qga.run('/bin/true', signal);
  }

  /** Runs `true` over a new ssh connection. */
  async overSsh(signal: AbortSignal): Promise<void> {
    await sshTrue(this.#ssh, signal);
  }

  /** Only a connection shows that sshd listens; before that, QEMU accepts and closes connections. */
  async #sshUp(signal: AbortSignal): Promise<void> {
    const until = performance.now() + sshUpTimeoutMs;
    for (;;) {
      try {
        return await this.overSsh(signal);
      } catch (error) {
        if (!(error instanceof ProcessError) || performance.now() > until) throw error;
      }
      await sleep(sshRetryMs, signal);
    }
  }

  async close(): Promise<void> {
    this.#qga[Symbol.dispose]();
    await this.#machine.close();
  }
}
