/** Faults of Hatch's dialect and of the verifier of its keys. */
import type { Mutation } from './mutation.ts';

const vms = 'src/http/dialects/hatch/vms.test.ts';
const translate = 'src/http/dialects/hatch/translate.ts';
const exec = 'src/http/dialects/hatch/exec.ts';
const goldenTest = 'src/http/dialects/hatch/golden.test.ts';

export const hatchMutations: readonly Mutation[] = [
  {
    fault: 'Hatch shows user data to every key of the tenant',
    guarantee: 'G39',
    file: translate,
    from: 'canExec && spec.userData?.text',
    to: 'spec.userData?.text',
    caughtBy: { file: vms, test: 'shows its user data to those' },
  },
  {
    fault: 'a template shows its user data to every key of the tenant',
    guarantee: 'G39',
    file: 'src/http/native/templates/routes.ts',
    from: "hasScope(caller, 'machines:exec') ? template.userData : null",
    to: 'template.userData',
    caughtBy: { file: 'src/http/native/templates/templates.test.ts', test: 'its user data is shown to' },
  },
  {
    fault: 'an answer lacks output on a full disk and does not say so',
    guarantee: 'G38',
    file: exec,
    from: 'if (isFull) return',
    to: 'if (isFull && isTruncated) return',
    caughtBy: { file: vms, test: 'says what the answer lacks of the output' },
  },
  {
    fault: 'a command is killed at its deadline instead of let go',
    guarantee: 'G38',
    file: 'src/guest/logged.ts',
    from: 'this.#call.stream.write(encodeFrame(frameTypes.letGo, Buffer.alloc(0))).catch(() => undefined);',
    to: 'void this.return();',
    caughtBy: { file: 'src/guest/logged.test.ts', test: 'a command that is let go, or detached' },
  },
  {
    fault: 'Hatch reads a method that a path does not have as an unknown path',
    guarantee: 'G40',
    file: 'src/http/dialects/hatch/errors.ts',
    from: 'allowed.length === 0 || isAction',
    to: 'allowed.length < 9 || isAction',
    caughtBy: { file: goldenTest, test: 'a method that a path does not have' },
  },
  {
    fault: 'Hatch’s documented status is nowhere asked for',
    guarantee: 'G40',
    file: 'src/http/dialects/hatch/definitions.ts',
    from: 'responses: { 201: vm, ...invalid, ...common, ...taken, ...bodyRefused }',
    to: 'responses: { 201: vm, ...invalid, ...common, ...taken, ...timedOut, ...bodyRefused }',
    caughtBy: { file: goldenTest, test: 'have every documented status' },
  },
  {
    fault: 'a key that was ended at the Better Auth server works for hours',
    guarantee: 'G33',
    file: 'src/main/better-auth.ts',
    from: 'const freshMs = 10_000;',
    to: 'const freshMs = 10_000_000;',
    caughtBy: { file: 'src/main/better-auth.test.ts', test: 'an unknown key is refused, and so is one' },
  },
];
