/**
 * The golden files of a dialect: one JSON file a conversation, as `conversation.ts` defines it, replayed on a real
 * server. `given` is how the world stands; each exchange is a request and its whole answer, in which no field may be
 * missing or extra, and which has the shape that the OpenAPI document says.
 *
 * Requests carry the operator's key and JSON unless their `headers` say otherwise (null: not sent). In expected answers
 * `$time`, `$uuid`, `$id`, `$number` and others of `placeholders.ts` stand for what varies (`vm_$id`: with text around it),
 * and `$id as web` also keeps it: later texts take it as `${web}`. `${key}` is the operator's key, `${version}` the daemon's
 * version; a given machine's id and a given key's secret are kept under their `as`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Dialect } from '../../src/http/dialect.ts';
import { type DocumentedOperation, readContract } from '../contract/document.ts';
import { type Conversation, conversation, type World } from './conversation.ts';
import { type Exceptions, needless, unasked, undocumented } from './coverage.ts';
import { type CheckError, replay } from './replay.ts';
import { openWorld } from './world.ts';

export interface GoldenSuite {
  /** The folder of the JSON files. */
  readonly folder: string;
  /** Name of the OpenAPI document: what `/docs/json?dialect=NAME` answers. */
  readonly document: string;
  /** Served instead of all dialects. */
  readonly dialects?: readonly Dialect[];
  /** Which of the document's operations the files must have. Default: all. */
  readonly covers?: (operation: DocumentedOperation) => boolean;
  readonly exceptions?: Exceptions;
  /** Checks the form of every error; see `replay`. */
  readonly checkError?: CheckError;
}

/** Registers the tests, and returns the conversations for more of them. */
export function testGolden(suite: GoldenSuite): readonly Conversation[] {
  const { folder, document, dialects, covers = () => true, exceptions = {}, checkError } = suite;
  const files = readGolden(folder);
  const conversations = files.map((file) => file.conversation);
  const contract = readContract(document, dialects);
  const open = (world: World) => openWorld(world, { dialects });
  const check = { contract, ...(checkError === undefined ? {} : { checkError }) };

  describe('the server answers as recorded', () => {
    test.each(files)('$path: $conversation.title', ({ conversation }) => replay(conversation, open, check));
    test.each(files.filter(({ conversation }) => conversation.alsoUnder !== undefined))(
      '$path under $conversation.alsoUnder',
      ({ conversation }) => replay(conversation, open, { ...check, prefix: conversation.alsoUnder }),
    );
  });

  describe('the golden files', () => {
    const operations = contract.operations.filter(covers);

    test('have every documented status of every operation', () => {
      expect(unasked(operations, conversations, exceptions)).toEqual([]);
    });

    test('have no undocumented answer', () => {
      expect(undocumented(contract.operations, conversations)).toEqual([]);
    });

    test('have no exception without need', () => {
      expect(needless(operations, conversations, exceptions)).toEqual([]);
    });
  });
  return conversations;
}

export interface GoldenFile {
  /** Below the folder. */
  readonly path: string;
  readonly conversation: Conversation;
}

/** All conversations of a folder, by path. Throws for a file that is none. */
export function readGolden(folder: string): readonly GoldenFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.json'))
    .sort()
    .map((path) => ({ path, conversation: parse(join(folder, path)) }));
}

function parse(path: string): Conversation {
  const parsed = conversation.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!parsed.success) throw new Error(`${relative(process.cwd(), path)}: ${parsed.error.message}`);
  return parsed.data;
}
