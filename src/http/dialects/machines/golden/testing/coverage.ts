/** What the golden files must cover, and which of it they do not. */
import type { DocumentedOperation } from '../../../../../../test/contract/document.ts';
import { type MachineStatus, machineStatuses } from '../../schema.ts';
import { statusWord } from '../../translate.ts';
import type { Conversation, Exchange } from './conversation.ts';

/** Operations below `/machines` that the golden files do not request. */
const otherOperations: Readonly<Record<string, string>> = {
  getMachineConsole: 'its answer is a text that goes on: console.test.ts',
};

const actions = ['start', 'stop', 'restart', 'pause', 'resume', 'exec', 'delete'] as const;

/** `operation status` for each documented answer without an exchange. */
export function unasked(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
): readonly string[] {
  const asked = new Set(answered(operations, conversations));
  return covered(operations)
    .flatMap(({ operationId, responses }) =>
      Object.keys(responses).map((status) => `${operationId} ${status}`),
    )
    .filter((name) => !asked.has(name));
}

/** `operation status` for each answer in an exchange that is not documented. */
export function undocumented(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
): readonly string[] {
  const known = new Set(
    operations.flatMap(({ operationId, responses }) =>
      Object.keys(responses).map((status) => `${operationId} ${status}`),
    ),
  );
  return answered(operations, conversations).filter((name) => !known.has(name));
}

/** `action on status` for each cell of the state machine's table without an exchange. */
export function missingCells(conversations: readonly Conversation[]): readonly string[] {
  const present = new Set(conversations.flatMap(cellsOf));
  return actions
    .flatMap((action) => machineStatuses.map((status) => cell(action, status)))
    .filter((name) => !present.has(name));
}

function covered(operations: readonly DocumentedOperation[]): readonly DocumentedOperation[] {
  return operations.filter(
    ({ path, operationId }) => /^\/machines(?:\/|$)/.test(path) && !(operationId in otherOperations),
  );
}

function answered(
  operations: readonly DocumentedOperation[],
  conversations: readonly Conversation[],
): readonly string[] {
  const patterns = operations.map(({ path, method, operationId }) => ({
    operationId,
    method,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }));
  return conversations
    .flatMap(({ exchanges }) => exchanges)
    .flatMap(({ request, response }) => {
      const path = pathOf(request.path);
      const operation = patterns.find(
        ({ method, pattern }) => method === request.method && pattern.test(path),
      );
      return operation ? [`${operation.operationId} ${response.status}`] : [];
    });
}

/** A given machine is in its given state until something is done to it. */
function cellsOf({ given, exchanges }: Conversation): readonly string[] {
  const states = new Map(given.machines.map(({ as, state }) => [as, statusWord(state)]));
  return exchanges.flatMap((exchange) => {
    const { machine, action } = actionOf(exchange);
    const status = states.get(machine);
    const isDone = exchange.response.status < 300;
    if (action === null || status === undefined) return [];
    if (isDone && action !== 'exec') states.delete(machine);
    // Key and body were valid and the store worked, so the state decided.
    return isDone || exchange.response.status === 400 ? [cell(action, status)] : [];
  });
}

function actionOf({ request }: Exchange): { machine: string; action: (typeof actions)[number] | null } {
  const [, machine = '', last = ''] =
    /^\/machines\/\$\{(\w+)\}(?:\/(\w+))?$/.exec(pathOf(request.path)) ?? [];
  if (request.method === 'DELETE') return { machine, action: last === '' ? 'delete' : null };
  return { machine, action: actions.find((action) => action === last && request.method === 'POST') ?? null };
}

function cell(action: string, status: MachineStatus): string {
  return `${action} on ${status}`;
}

function pathOf(target: string): string {
  return target.replace(/\?.*$/, '');
}
