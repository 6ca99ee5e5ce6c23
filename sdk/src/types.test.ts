/** What the types promise to programs. The compiler does most of the checking. */
import { expect, expectTypeOf, test } from 'vitest';
import type { CallArguments } from './call.ts';
import type { FlotillaClient } from './client.ts';
import type { operationTable } from './generated/operations.ts';
import type { components, operations } from './generated/schema.ts';
import * as types from './types.ts';

type Schemas = components['schemas'];
type Machines = FlotillaClient['machines'];

test('there is an entry for every operation of the document and for no other', () => {
  expectTypeOf<keyof typeof operationTable>().toEqualTypeOf<keyof operations>();
});

test('methods return the types that the document says', () => {
  expectTypeOf<Machines['create']>().returns.resolves.toEqualTypeOf<Schemas['Machine']>();
  expectTypeOf<Machines['list']>().returns.resolves.toEqualTypeOf<Schemas['MachineList']>();
  expectTypeOf<Machines['exec']>().returns.resolves.toEqualTypeOf<Schemas['ExecResult']>();
  expectTypeOf<Machines['delete']>().returns.resolves.toEqualTypeOf<void>();
  expectTypeOf<FlotillaClient['keys']['create']>().returns.resolves.toEqualTypeOf<Schemas['CreatedKey']>();
  expectTypeOf<FlotillaClient['images']['upload']>().returns.resolves.toEqualTypeOf<Schemas['Image']>();
  expectTypeOf<FlotillaClient['operations']['get']>().returns.resolves.toEqualTypeOf<Schemas['Operation']>();
  expectTypeOf<FlotillaClient['health']>().returns.resolves.toEqualTypeOf<Schemas['Health']>();
});

test('methods accept the types that the document says', () => {
  expectTypeOf<Machines['create']>().parameter(0).toEqualTypeOf<types.CreateMachine>();
  expectTypeOf<Machines['wait']>().parameter(1).toEqualTypeOf<{
    readonly status: Schemas['MachineStatus'];
    readonly timeout?: number | undefined;
  }>();
  expectTypeOf<types.MachineListQuery>().toEqualTypeOf<{
    readonly status?: Schemas['MachineStatus'] | readonly Schemas['MachineStatus'][] | undefined;
    readonly label?: string | readonly string[] | undefined;
    readonly image?: string | readonly string[] | undefined;
    readonly sort?: Schemas['MachineSort'] | undefined;
    readonly limit?: number | undefined;
    readonly offset?: number | undefined;
  }>();
  expectTypeOf<{ readonly path: { readonly id: string } }>().toExtend<CallArguments<'getMachine'>>();
  expectTypeOf<Record<never, never>>().not.toExtend<CallArguments<'getMachine'>>();
  expectTypeOf<{ path: { id: string }; body: object }>().not.toExtend<CallArguments<'getMachine'>>();
});

test('fields always present are required, and fields with a server default are optional', () => {
  expectTypeOf<types.Machine['name']>().toEqualTypeOf<string>();
  expectTypeOf<types.Machine['started_at']>().toEqualTypeOf<string | null>();
  expectTypeOf<types.Machine['exposed_ports']>().toEqualTypeOf<readonly number[]>();
  expectTypeOf<types.MachineFailure['console']>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<{ name: string; vcpu_count: number; mem_size_mib: number }>().toExtend<types.CreateMachine>();
  expectTypeOf<{ name: string; template: string }>().toExtend<types.CreateMachine>();
  expectTypeOf<{
    name: string;
    source: { kind: 'snapshot'; snapshot: string };
  }>().toExtend<types.CreateMachine>();
  expectTypeOf<{ name: string; vcpu_count: number }>().not.toExtend<types.CreateMachine>();
  expectTypeOf<{ name: string }>().not.toExtend<types.CreateMachine>();
});

test('a command’s output is bytes, and each outcome has its own fields', () => {
  expectTypeOf<{ command: string[] }>().toExtend<types.ExecRequest>();
  expectTypeOf<{ cwd: string }>().not.toExtend<types.ExecRequest>();
  expectTypeOf<types.ExecRequest['stdin']>().toEqualTypeOf<Uint8Array | string | undefined>();
  expectTypeOf<types.ExecOutput['data']>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<types.ExecOutcome['outcome']>().toEqualTypeOf<
    Extract<Schemas['ExecEvent'], { type: 'outcome' }>['outcome']
  >();
  expectTypeOf<Extract<types.ExecOutcome, { outcome: 'exited' }>['exit_code']>().toEqualTypeOf<number>();
  expectTypeOf<Extract<types.ExecOutcome, { outcome: 'unknown' }>['reason']>().toEqualTypeOf<string>();
});

test('enum lists match their types', () => {
  expectTypeOf<(typeof types.machineStatuses)[number]>().toEqualTypeOf<Schemas['MachineStatus']>();
  expectTypeOf<(typeof types.scopes)[number]>().toEqualTypeOf<Schemas['Scope']>();
  expectTypeOf<(typeof types.operationStates)[number]>().toEqualTypeOf<Schemas['OperationState']>();
  expect(types.machineStatuses).toContain('running');
  expect(types.scopes).toContain('*');
  expect(types.operationStates).toContain('succeeded');
});
