/**
 * The configuration fragment of the guest kernel: lines `CONFIG_X=…` and `# CONFIG_X is not set`, as in Linux's own
 * `.config`. Linux drops what it does not know, or what depends on something absent, without a word; so the result of
 * `make allnoconfig` is compared with the fragment. Pure.
 */
import { AppError } from '../../../core/errors.ts';

/** Each option's value as written; null: not set. */
export type KernelConfig = ReadonlyMap<string, string | null>;

const setPattern = /^CONFIG_(\w+)=(.+)$/;
const unsetPattern = /^# CONFIG_(\w+) is not set$/;

/** Linux's own `.config`, whose other comments mean nothing. */
export function parseConfig(text: string): KernelConfig {
  return new Map(
    text.split('\n').flatMap((line) => {
      const option = optionOf(line);
      return option === null ? [] : [option];
    }),
  );
}

/** A fragment. Raises `invalid` for a line that is none, and for an option that is there twice. */
export function parseFragment(text: string): KernelConfig {
  const options = new Map<string, string | null>();
  for (const [index, line] of text.split('\n').entries()) {
    const option = optionOf(line);
    if (option === null) {
      // Only its exact form is not a comment, so a misspelt one would be lost.
      if (line.trim() === '' || (line.startsWith('#') && !/^#\s*CONFIG_/.test(line))) continue;
      throw new AppError('invalid', `line ${index + 1} of the kernel's configuration is no option: ${line}`);
    }
    const [name, value] = option;
    if (options.has(name)) throw new AppError('invalid', `CONFIG_${name} is configured twice`);
    options.set(name, value);
  }
  return options;
}

function optionOf(line: string): readonly [string, string | null] | null {
  const [, name, value] = setPattern.exec(line) ?? [];
  if (name !== undefined && value !== undefined) return [name, value === 'n' ? null : value];
  const unset = unsetPattern.exec(line)?.[1];
  return unset === undefined ? null : [unset, null];
}

/** Where the result is not what the fragment asks for, one sentence each. An option that is absent is not set. */
export function differences(asked: KernelConfig, result: KernelConfig): readonly string[] {
  return [...asked].flatMap(([name, value]) => {
    const got = result.get(name) ?? null;
    return got === value ? [] : [`CONFIG_${name} should be ${shown(value)} and is ${shown(got)}`];
  });
}

function shown(value: string | null): string {
  return value ?? 'not set';
}
