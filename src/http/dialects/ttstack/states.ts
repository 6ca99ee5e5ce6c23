/** TTstack's words for the states of machines. */
import type { MachineState } from '../../../core/machines/states.ts';
import type { VmState } from './schema.ts';

const words: Readonly<Record<MachineState, VmState>> = {
  creating: 'creating',
  created: 'stopped',
  starting: 'creating',
  running: 'running',
  pausing: 'running',
  paused: 'paused',
  resuming: 'paused',
  suspending: 'running',
  suspended: 'stopped',
  stopping: 'running',
  stopped: 'stopped',
  failed: 'failed',
  deleting: 'stopped',
  deleted: 'stopped',
};

export function stateWord(state: MachineState): VmState {
  return words[state];
}
