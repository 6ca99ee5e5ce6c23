/** The table of a dialect's state machine, every cell of which its golden files must have. */
import type { Conversation, Exchange } from './conversation.ts';
import { pathOf } from './coverage.ts';

export interface StateTable<Word extends string> {
  /** `POST prefix/ID/ACTION` and `DELETE prefix/ID` are the actions. */
  readonly prefix: string;
  readonly actions: readonly string[];
  /** The dialect's words for states. */
  readonly words: readonly Word[];
  readonly wordOf: (state: Conversation['given']['machines'][number]['state']) => Word;
  /** The status when the state does not allow an action. */
  readonly denied: number;
}

/** Actions that leave the state as it is. */
const commands = ['exec', 'script'];

/** `action on word` for each cell without an exchange. */
export function missingCells<Word extends string>(
  conversations: readonly Conversation[],
  table: StateTable<Word>,
): readonly string[] {
  const present = new Set(conversations.flatMap((conversation) => cellsOf(conversation, table)));
  return table.actions
    .flatMap((action) => table.words.map((word) => cell(action, word)))
    .filter((name) => !present.has(name));
}

/** A given machine is in its given state until something is done to it. */
function cellsOf<Word extends string>(
  { given, exchanges }: Conversation,
  table: StateTable<Word>,
): readonly string[] {
  const words = new Map(given.machines.map(({ as, state }) => [as, table.wordOf(state)]));
  return exchanges.flatMap((exchange) => {
    const { machine, action } = actionOf(exchange, table);
    const word = words.get(machine);
    const isDone = exchange.response.status < 300;
    if (action === null || word === undefined) return [];
    if (isDone && !commands.includes(action)) words.delete(machine);
    // Key and body were valid and the store worked, so the state decided.
    return isDone || exchange.response.status === table.denied ? [cell(action, word)] : [];
  });
}

function actionOf(
  { request }: Exchange,
  { prefix, actions }: Pick<StateTable<string>, 'prefix' | 'actions'>,
): { readonly machine: string; readonly action: string | null } {
  const path = pathOf(request.path);
  const rest = path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : '';
  // By its id with or without the dialect's prefix, or by its name, which is the same word.
  const [, machine = '', last = ''] = /^(?:[a-z]+-)?(?:\$\{)?(\w+)\}?(?:\/(\w+))?$/.exec(rest) ?? [];
  const action = request.method === 'DELETE' && last === '' ? 'delete' : last;
  const isAction = request.method === 'POST' || action === 'delete';
  return { machine, action: isAction && actions.includes(action) ? action : null };
}

function cell(action: string, word: string): string {
  return `${action} on ${word}`;
}
