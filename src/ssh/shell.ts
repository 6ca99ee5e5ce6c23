/** The programs that a session runs in the guest: the user's own shell, from the guest's `/etc/passwd`. */

/** Only what every POSIX shell has by itself: a guest may have no other programs. */
const asUsersShell = [
  'shell=',
  'while IFS=: read -r name _ _ _ _ _ shell; do [ "$name" = "$LOGNAME" ] && break; shell=; done </etc/passwd',
  '[ -x "$shell" ] || shell=/bin/sh',
  'export SHELL="$shell"',
  'cd "$HOME" 2>/dev/null || cd /',
].join('\n');

/** A login shell. */
export const shellArgv: readonly string[] = ['/bin/sh', '-c', `${asUsersShell}\nexec "$shell" -l`];

/** What `ssh machine COMMAND` runs. */
export function commandArgv(command: string): readonly string[] {
  return ['/bin/sh', '-c', `${asUsersShell}\nexec "$shell" -c "$1"`, 'sh', command];
}
