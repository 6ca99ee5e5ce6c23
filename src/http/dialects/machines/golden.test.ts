/**
 * The golden files: one JSON file a conversation, as `golden/testing/conversation.ts` defines it. `given` is how the
 * world stands; each exchange is a request and its whole answer, in which no field may be missing or extra.
 *
 * Requests carry the operator's key and JSON unless their `headers` say otherwise (null: not sent). In expected answers
 * `$time`, `$uuid`, `$id` and `$number` stand for what varies, and `$id as web` also keeps it: later texts take it as `${web}`.
 * `${key}` is the operator's key; a given machine's id and a given key's secret are kept under their `as`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readContract } from '../../../../test/contract/document.ts';
import { type Conversation, conversation } from './golden/testing/conversation.ts';
import { missingCells, unasked, undocumented } from './golden/testing/coverage.ts';
import { replay } from './golden/testing/replay.ts';

const folder = join(import.meta.dirname, 'golden');

interface GoldenFile {
  readonly path: string;
  readonly conversation: Conversation;
}

const files: readonly GoldenFile[] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.json'))
  .sort()
  .map((path) => ({ path, conversation: parse(path) }));
const conversations = files.map((file) => file.conversation);

function parse(path: string): Conversation {
  const parsed = conversation.safeParse(JSON.parse(readFileSync(join(folder, path), 'utf8')));
  if (!parsed.success)
    throw new Error(`${relative(process.cwd(), join(folder, path))}: ${parsed.error.message}`);
  return parsed.data;
}

describe('the server answers as recorded', () => {
  test.each(files)('$path: $conversation.title', ({ conversation }) => replay(conversation));
  test.each(files.filter(({ conversation }) => conversation.alsoUnder !== undefined))(
    '$path under $conversation.alsoUnder',
    ({ conversation }) => replay(conversation, conversation.alsoUnder),
  );
});

describe('the golden files', () => {
  const { operations } = readContract();

  test('have every documented status of every operation', () => {
    expect(unasked(operations, conversations)).toEqual([]);
  });

  test('have no undocumented answer', () => {
    expect(undocumented(operations, conversations)).toEqual([]);
  });

  test('have every action in every status', () => {
    expect(missingCells(conversations)).toEqual([]);
  });
});
