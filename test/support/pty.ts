/** A program on a pseudo-terminal of its own (that of util-linux’s `script`), for tests of what a person at a terminal sees. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { repository } from './host.ts';

export interface Pty {
  /** As if typed. */
  readonly type: (text: string) => void;
  /** Resolves when the terminal has shown the text after what was waited for before. */
  readonly says: (text: string) => Promise<void>;
  /** Changes the size of the terminal, as that of a window. */
  readonly resize: (rows: number, columns: number) => void;
  /** Everything shown so far. */
  readonly shown: () => string;
  /** Resolves with the exit code. */
  readonly done: Promise<number | null>;
}

/** Runs a script of the shell at 24 lines of 80; SIGKILL after `timeoutMs`. */
export function startPty(script: string, env: NodeJS.ProcessEnv, timeoutMs = 120_000): Pty {
  const wrapped = `tty; stty rows 24 cols 80; ${script}`;
  const child = spawn('script', ['-qefc', wrapped, '/dev/null'], {
    cwd: repository,
    env: { ...env, SHELL: '/bin/sh', TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  let shown = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    shown += text;
  });
  const closed = once(child, 'close').finally(() => clearTimeout(timer));
  const says = async (text: string) => {
    for (;;) {
      const at = shown.indexOf(text, seen);
      if (at >= 0) {
        seen = at + text.length;
        return;
      }
      const isOver = await Promise.race([
        once(child.stdout, 'data').then(() => false),
        closed.then(() => true),
      ]);
      if (isOver && !shown.includes(text, seen))
        throw new Error(
          `the terminal never showed ${JSON.stringify(text)} after ${JSON.stringify(shown.slice(seen))}`,
        );
    }
  };
  return {
    type: (text) => void child.stdin.write(text),
    says,
    resize: (rows, columns) => {
      const [terminal = ''] = /\/dev\/pts\/\d+/.exec(shown) ?? [];
      execFileSync('stty', ['-F', terminal, 'rows', String(rows), 'cols', String(columns)]);
    },
    shown: () => shown,
    done: closed.then(([code]) => code as number | null),
  };
}
