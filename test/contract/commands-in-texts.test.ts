/**
 * Every `flotilla …` that a text names, in hints, messages, comments and documents, is a command that exists, with options
 * that it has. The command line itself parses them; nothing runs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { catalog } from '../../cli/catalog.ts';
import { separated } from '../../cli/command-words.ts';
import { loadProgram } from '../../cli/program.ts';
import { testContext } from '../../cli/testing/test-context.ts';
import { isTestSupport, readTree } from '../arch/tree.ts';
import { repository } from '../support/host.ts';

/** What follows the program's name in prose: `Run ./flotilla as root`. */
const prose = new Set([
  'applies',
  'as',
  'daemon',
  'for',
  'from',
  'guest',
  'in',
  'launcher',
  'machine',
  'test',
  'to',
]);

interface Mention {
  /** `src/setup/setup.ts:92`. */
  readonly place: string;
  readonly words: readonly string[];
  /** Code that a reader copies, which must be complete. */
  readonly isCode: boolean;
}

const program = /(?<![\w/-])(?:\.\/)?flotilla +(?=[a-z`$-])/g;
/** What precedes a command in a shell. */
const commandPlace = /(?:^|[\n|;&(]|\b\w+=\S*|\b(?:sudo|time|do)|--) *(?:[\w./-]*\/)?$/;
/** What ends a command of a shell or of a sentence. */
const ends = /[;|&<>()#`\n]/;

function mentionsIn(path: string, text: string, isCode: boolean, from = 0): readonly Mention[] {
  const found = [...text.matchAll(program)].filter(
    ({ index }) => !isCode || commandPlace.test(text.slice(0, index)),
  );
  return found.map((match) => {
    const start = match.index + match[0].length;
    const line = text.slice(0, match.index).split('\n').length + from;
    const words = wordsOf(text.slice(start).replace(/\\\n/g, ' '), isCode);
    return { place: `${path}:${line}`, words, isCode };
  });
}

/** The words of a shell's command; in prose, without the punctuation after them. */
function wordsOf(text: string, isCode: boolean): readonly string[] {
  const words: string[] = [];
  let rest = text;
  for (;;) {
    const [whole, word = ''] = /^ *((?:\$\{[^}]*\}|'[^'\n]*'|"[^"\n]*"|[^\s;|&<>()#`'"])+)/.exec(rest) ?? [];
    if (whole === undefined) return words;
    const plain = isCode ? word.replaceAll(/['"]/g, '') : word.replace(/(?:[.,:?!'"]|\\.*)+$/, '');
    words.push(plain);
    rest = rest.slice(whole.length);
    if (ends.test(rest[0] ?? '') || (!isCode && plain !== word)) return words;
  }
}

/** In prose, the command with its options and placeholders, up to where the sentence goes on. */
function commandIn({ words, isCode }: Mention, root: Command): readonly string[] {
  if (isCode) return words;
  const taken: string[] = [];
  let command = root;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const below = command.commands.find((each) => [each.name(), ...each.aliases()].includes(word));
    if (below !== undefined) command = below;
    else if (word.startsWith('-')) {
      const option = command.options.find(({ long, short }) => long === word || short === word);
      taken.push(word);
      if (option?.required !== true) continue;
      index++;
    } else if (command.commands.length > 0 && index > 0) {
      // The word that names what a noun does.
      taken.push(word);
      break;
    } else if (!/^(?:[A-Z]+…?|\$\{.*\})$/.test(word)) break;
    taken.push(words[index] ?? '');
  }
  return taken;
}

/** Errors that a mention may have: `flotilla start starts a machine` names none. */
const tolerated = ['commander.missingArgument', 'commander.missingMandatoryOptionValue', 'commander.help'];

/** What is wrong with the mention; null: nothing. */
async function problemOf(mention: Mention): Promise<string | null> {
  const [first = ''] = mention.words;
  const entry = catalog.find(({ name, aliases }) => [name, ...aliases].includes(first));
  if (entry === undefined) {
    const isKnown = first.startsWith('-') || first === '' || first.startsWith('$') || prose.has(first);
    return isKnown ? null : `${mention.place}: there is no flotilla ${first}`;
  }
  const { context } = testContext({ FLOTILLA_URL: 'http://127.0.0.1:1', FLOTILLA_KEY: 'hf_x' });
  const root = await loadProgram(context);
  inert(root);
  const words = commandIn(mention, root);
  const command = root.commands.find((each) => each.name() === entry.name);
  const args = entry.hasWords && command !== undefined ? separated(command, words) : words;
  try {
    await root.parseAsync(args, { from: 'user' });
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isPlaceholder =
      error.code === 'commander.invalidArgument' && words.some((each) => /…|[A-Z]{2}/.test(each));
    if (error.exitCode === 0 || isPlaceholder || tolerated.includes(error.code)) return null;
    return `${mention.place}: flotilla ${words.join(' ')}: ${error.message}`;
  }
}

/** Parsed, but not carried out. */
function inert(command: Command): void {
  if (command.registeredArguments.length > 0 || command.commands.length === 0)
    command.action(() => undefined);
  command.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  for (const below of command.commands) inert(below);
}

function sources(): readonly Mention[] {
  const tree = readTree(repository, [
    'src',
    'cli',
    'sdk',
    'bench',
    'guest-agent',
    'launch-shim',
    'image-builder',
    'guest-sftp',
  ]);
  return [...tree.values()]
    .filter(({ path }) => !isTestSupport(path) && !path.startsWith('cli/completion/'))
    .flatMap(({ path, text }) => mentionsIn(path, text, false));
}

function documents(): readonly Mention[] {
  const docs = readdirSync(join(repository, 'docs')).map((name) => `docs/${name}`);
  const decisions = readdirSync(join(repository, 'docs/decisions')).map((name) => `docs/decisions/${name}`);
  const paths = [...docs, ...decisions, 'README.md', 'CONTRIBUTING.md', 'sdk/README.md'];
  return paths.filter((path) => path.endsWith('.md')).flatMap(mentionsOfDocument);
}

/** Code in blocks and between backticks; a document may break a line between backticks. */
function mentionsOfDocument(path: string): readonly Mention[] {
  const text = readFileSync(join(repository, path), 'utf8');
  const code = /^```\w*\n([\s\S]*?)^```|`([^`]+)`|^((?: {4}.*\n)+)/gm;
  return [...text.matchAll(code)].flatMap((match) => {
    const [, block, inline, indented] = match;
    const from = text.slice(0, match.index).split('\n').length - 1;
    if (block !== undefined) return mentionsIn(path, block, true, from + 1);
    if (indented !== undefined) return mentionsIn(path, indented, true, from);
    return mentionsIn(path, `${inline?.replaceAll('\n', ' ')}`, true, from);
  });
}

describe('flotilla commands exist with their options', () => {
  test('in the sources: hints, messages and comments', async () => {
    const mentions = sources();
    expect(mentions.length).toBeGreaterThan(80);
    expect(await problems(mentions)).toEqual([]);
  });

  test('in the documents', async () => {
    const mentions = documents();
    expect(mentions.length).toBeGreaterThan(100);
    expect(await problems(mentions)).toEqual([]);
  });

  test.each([
    ['flotilla lss shows them', 'there is no flotilla lss'],
    ['flotilla images remove NAME', "unknown command 'remove'"],
    ['flotilla rm --forced', "unknown option '--forced'"],
    ['./flotilla setup --new', "unknown option '--new'"],
  ])('the check finds %j', async (text, problem) => {
    expect(await problems(mentionsIn('x', text, false))).toEqual([expect.stringContaining(problem)]);
  });
});

async function problems(mentions: readonly Mention[]): Promise<readonly string[]> {
  const found = await Promise.all(mentions.map(problemOf));
  return found.filter((each) => each !== null);
}
