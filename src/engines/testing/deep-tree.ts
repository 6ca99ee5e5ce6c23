/** Makes a tree whose innermost path is longer than the kernel's limit of 4096 bytes. */
import { execFileSync } from 'node:child_process';

const name = 'd'.repeat(200);
const script =
  'mkdir "$1" && cd "$1" && i=0 && while [ $i -lt 50 ]; do mkdir "$2" && cd -P "$2"; i=$((i+1)); done';

export function makeDeepTree(path: string): void {
  execFileSync('/bin/sh', ['-ec', script, 'sh', path, name], { stdio: 'ignore' });
}
