/** How programs are run on a stranger's files: nothing of the daemon's environment, and no longer than the daemon. */

const toolPath = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
/** Programs see nothing of the daemon's environment, and speak English. */
export const toolEnvironment = { PATH: toolPath, LC_ALL: 'C' } as const;
