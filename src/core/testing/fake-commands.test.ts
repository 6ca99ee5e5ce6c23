/** The fake of commands keeps the contract of the real ones. */
import type { FakeCommand } from './fake-commands.ts';
import { FakeGuestCommands } from './fake-commands.ts';
import { contractScripts, testGuestCommands } from './guest-commands.contract.ts';

const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;

/** Does what the contract's scripts do in a shell. */
function run(command: FakeCommand): void {
  const script = command.request.argv[2];
  if (script === contractScripts.both) {
    command.write('stdout', 'out');
    command.write('stderr', 'error');
    command.end(exited(5));
  }
  if (script === contractScripts.copy) {
    command.onInput = (data) => command.write('stdout', data);
    command.onInputEnd = () => command.end(exited(0));
  }
  if (script === contractScripts.flood)
    command.onInput = () => {
      for (let i = 0; i < 8; i += 1) command.write('stdout', Buffer.alloc(50_000));
      command.end(exited(0));
    };
}

testGuestCommands(async () => ({
  commands: new FakeGuestCommands(run),
  target: {
    machineId: 'm1',
    incarnation: 'i1',
    address: { transport: 'unix', path: '/none', connectPort: null },
  },
}));
