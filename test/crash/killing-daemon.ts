/** The daemon, but for this: it kills itself as soon as the given record is durable. Arguments: kind, step, phase. */
import { pino } from 'pino';
import { readConfig } from '../../src/main/config.ts';
import { startDaemon } from '../../src/main/serve.ts';

const [, , kind, step, phase] = process.argv;

await startDaemon(readConfig(process.env), pino(), {
  hooks: {
    recorded: async (operation, name, recorded) => {
      if (operation.kind === kind && name === step && recorded === phase)
        process.kill(process.pid, 'SIGKILL');
    },
  },
});
