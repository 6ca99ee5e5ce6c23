import { expect, test } from 'vitest';
import type { ExecEvent, ExecSession } from '../ports/guest.ts';
import { Activity } from './activity.ts';
import { ExecLimit, execsPerMachineMax } from './exec-limit.ts';

const activity = new Activity({ elapsedMs: () => 0 });
const outcome: ExecEvent = { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } };

function session(): ExecSession {
  return {
    kill: () => undefined,
    async *[Symbol.asyncIterator]() {
      yield outcome;
    },
  };
}

async function full(): Promise<{ readonly slots: ExecLimit; readonly sessions: readonly ExecSession[] }> {
  const slots = new ExecLimit(activity);
  const sessions: ExecSession[] = [];
  for (let i = 0; i < execsPerMachineMax; i++) sessions.push(await slots.hold('web', async () => session()));
  return { slots, sessions };
}

test('each machine has its own limit', async () => {
  const { slots } = await full();
  await expect(slots.hold('web', async () => session())).rejects.toMatchObject({ code: 'exhausted' });
  await slots.hold('other', async () => session());
});

test('a slot is released when the command has been read to its end', async () => {
  const { slots, sessions } = await full();
  for await (const event of sessions[0] as ExecSession) expect(event).toBe(outcome);
  await slots.hold('web', async () => session());
  await expect(slots.hold('web', async () => session())).rejects.toMatchObject({ code: 'exhausted' });
});

test('a slot is released only once, even if the reader leaves twice', async () => {
  const { slots, sessions } = await full();
  const iterator = (sessions[0] as ExecSession)[Symbol.asyncIterator]();
  await iterator.return?.();
  await iterator.return?.();
  await slots.hold('web', async () => session());
  await expect(slots.hold('web', async () => session())).rejects.toMatchObject({ code: 'exhausted' });
});

test('a command that failed to start holds no slot', async () => {
  const slots = new ExecLimit(activity);
  for (let i = 0; i <= execsPerMachineMax; i++) {
    await expect(slots.hold('web', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  }
  await slots.hold('web', async () => session());
});
