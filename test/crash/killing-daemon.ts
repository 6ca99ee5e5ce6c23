/** A daemon that kills itself as soon as the given record is durable. Arguments: kind, step, phase. */
import { pino } from 'pino';
import { changedSteps } from '../../src/core/operations/journal.ts';
import { readConfig } from '../../src/main/config.ts';
import { startDaemon } from '../../src/main/serve.ts';

const [, , kind, step, phase] = process.argv;

await startDaemon(readConfig(process.env), pino(), {
  hooks: {
    written: async (before, after) => {
      const isMoment = changedSteps(before, after).some(
        (record) => record.name === step && record.phase === phase,
      );
      if (after.kind === kind && isMoment) process.kill(process.pid, 'SIGKILL');
    },
  },
});
