/** `cp`: copies files and trees to machines, from them, and between them. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { type CopyOptions, copy } from '../copy/copy.ts';
import { placeOf } from '../copy/places.ts';

export function define(context: Context): Command {
  return new Command('cp')
    .description(
      'Copy a file or a tree to a machine, from a machine, or between two.\n' +
        'Into a directory that exists, the copy keeps its name; else DEST is its new name.\n' +
        'A SOURCE that ends in /. stands for what is in the directory.\n' +
        'A SOURCE of - is a tar archive on standard input; a DEST of - is one on standard output.\n' +
        'Modes, times, links and holes are kept; copies belong to root in a machine, and to you here.\n' +
        'Ctrl-C leaves no part of a file behind.',
    )
    .argument('<source>', 'MACHINE:PATH, a local path, or -')
    .argument('<dest>', 'MACHINE:PATH, a local path, or -')
    .option('-a, --archive', 'keep owners, set-id bits and devices; only for machines you trust')
    .option('-L, --follow-link', 'if SOURCE is a link, copy what it points to')
    .option('-q, --quiet', 'show no progress')
    .action((source: string, destination: string, options: CopyOptions) =>
      copy(context, placeOf(source), placeOf(destination), options),
    );
}
