/** Runs programs on untrusted files: without the daemon's environment, and no longer than the daemon. */
import { AppError } from '../../core/errors.ts';
import { JailError, type JailOptions, runJailed } from '../../lib/jail.ts';

const toolPath = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
/** Programs do not see the daemon's environment, and print English. */
export const toolEnvironment = { PATH: toolPath, LC_ALL: 'C' } as const;

export type ToolOptions = Omit<JailOptions, 'env'>;

/** Raises `unsupported` on a host that cannot make a jail; nothing untrusted is unpacked there. */
export async function runTool(command: string, args: readonly string[], options: ToolOptions) {
  try {
    return await runJailed(command, args, { ...options, env: toolEnvironment });
  } catch (error) {
    if (!(error instanceof JailError)) throw error;
    throw new AppError('unsupported', 'this host has no jail to unpack images in', {
      cause: error,
      hint: 'It takes root and user namespaces; ./flotilla doctor says what refuses them.',
    });
  }
}
