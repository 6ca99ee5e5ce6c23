/** Plans: what is found wrong with them, and how they run, on the real core and fakes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, fakeDeps, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../../core/errors.ts';
import type { Caller } from '../../core/keys/caller.ts';
import { checkPlan } from './plan-check.ts';
import { PlanRunner } from './plan-run.ts';
import { execution, type Plan, plan } from './plan-schema.ts';
import { tools } from './tools.ts';

const caller: Caller = {
  ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null, scopes: ['*'], isOperator: true },
  tier: null,
};

function planOf(steps: readonly object[], rest: object = {}): Plan {
  return plan.parse({ name: 'test', steps, ...rest });
}

function problems(
  steps: readonly object[],
  scopes: Caller['scopes'] = ['*'],
  variables: string[] | null = null,
) {
  const { validation } = checkPlan(planOf(steps), tools, { scopes }, variables);
  return validation.errors.map(({ step_id, error_type }) => `${step_id}: ${error_type}`);
}

const list = (step_id: string, ...depends_on: string[]) => ({
  step_id,
  operation_id: 'list_vms',
  depends_on,
});

describe('a plan is checked:', () => {
  test('a sound one runs in the order of its dependencies', () => {
    const { order, validation } = checkPlan(
      planOf([list('c', 'b'), list('b', 'a'), list('a')]),
      tools,
      caller,
      null,
    );
    expect(order.map(({ step_id }) => step_id)).toEqual(['a', 'b', 'c']);
    expect(validation).toMatchObject({ valid: true, errors: [], estimated_duration_ms: 360_000 });
  });

  test.each([
    ['a step that depends on itself', [list('a', 'a')], ['a: circular_dependency']],
    [
      'two that depend on each other',
      [list('a', 'b'), list('b', 'a')],
      ['a: circular_dependency', 'b: circular_dependency'],
    ],
    [
      'three in a cycle, and not the one behind it',
      [list('a', 'c'), list('b', 'a'), list('c', 'b'), list('d', 'c')],
      ['a: circular_dependency', 'b: circular_dependency', 'c: circular_dependency'],
    ],
    ['a dependency that is no step', [list('a', 'z')], ['a: invalid_dependency']],
    ['two steps of one name', [list('a'), list('a')], ['a: duplicate_step_id']],
    ['an unknown operation', [{ step_id: 'a', operation_id: 'make_vm' }], ['a: unknown_operation']],
    [
      'wrong parameters',
      [{ step_id: 'a', operation_id: 'create_vm', parameters: { name: 'x', cpus: 0 } }],
      ['a: invalid_parameters'],
    ],
    [
      'a reference to a step that need not have run',
      [list('a'), { step_id: 'b', operation_id: 'start_vm', parameters: { vm_id: '{{a.id}}' } }],
      ['b: invalid_parameters'],
    ],
  ])('%s', (_, steps, found) => {
    expect(problems(steps)).toEqual(found);
  });

  test('what the key may not do, and variables that are not given', () => {
    const start = { step_id: 'a', operation_id: 'start_vm', parameters: { vm_id: '{{vm}}' } };
    expect(problems([start], ['machines:read'])).toEqual(['a: insufficient_permissions']);
    expect(problems([start], ['machines:write'], [])).toEqual(['a: invalid_parameters']);
    expect(problems([start], ['machines:write'], ['vm'])).toEqual([]);
  });
});

describe('a plan runs:', () => {
  let fake: FakeFlotilla;
  beforeEach(async () => {
    fake = await startFake();
  });
  afterEach(() => fake.close());

  const { signal } = new AbortController();
  const execute = (steps: readonly object[], rest: object = {}, how: object = {}, scopes = caller.scopes) =>
    new PlanRunner(tools, fakeDeps(fake)).execute(execution.parse({ plan: planOf(steps, rest), ...how }), {
      ...{ caller: { ...caller, scopes }, signal, reserve: () => undefined },
    });
  const names = async () =>
    (await fake.machines.list({ tenant: 'default', limit: 10, offset: 0 })).machines.map(
      ({ spec }) => spec.name,
    );

  const create = { step_id: 'create', operation_id: 'create_vm', parameters: { name: '{{name}}' } };
  const start = {
    ...{ step_id: 'start', operation_id: 'start_vm', parameters: { vm_id: '{{create.id}}' } },
    depends_on: ['create'],
  };

  test('its steps use variables and the output of earlier ones', async () => {
    const done = await execute([create, start], {}, { variables: { name: 'web' } });
    expect(done).toMatchObject({ status: 'completed', rolled_back_steps: [] });
    expect((await fake.machines.get('default', 'web')).state).toBe('running');
  });

  test('a dry run and a plan that is not valid change nothing', async () => {
    const dry = await execute([create], {}, { variables: { name: 'web' }, dry_run: true });
    expect(dry).toMatchObject({ status: 'completed', dry_run: true, step_results: [] });
    const wrong = await execute([create, start], {}, { variables: {} });
    expect(wrong).toMatchObject({ status: 'validation_failed', step_results: [] });
    const weak = await execute([create], {}, { variables: { name: 'web' } }, ['machines:read']);
    expect(weak.status).toBe('validation_failed');
    expect(await names()).toEqual([]);
  });

  test('a failed step ends it, and without rollback the steps before stay done', async () => {
    fake.driver.failNext('launch', new AppError('engine', 'the VMM ended at once'));
    const failed = await execute([create, start, list('after', 'start')], {}, { variables: { name: 'web' } });
    expect(failed.status).toBe('failed');
    expect(failed.step_results.map(({ step_id, success }) => [step_id, success])).toEqual([
      ['create', true],
      ['start', false],
    ]);
    expect(failed.step_results[1]?.error).toContain('The VMM ended at once');
    expect(await names()).toEqual(['web']);
  });

  test('with rollback the steps before are taken back', async () => {
    fake.driver.failNext('launch', new AppError('engine', 'the VMM ended at once'));
    const rollback = { rollback_on_failure: true };
    const failed = await execute([create, start], rollback, { variables: { name: 'web' } });
    expect(failed).toMatchObject({ status: 'rolled_back', rolled_back_steps: ['create'] });
    expect(await names()).toEqual([]);
  });

  test('a start that outlasts its time is cancelled, and rollback takes back the steps before', async () => {
    const late = new AbortController();
    fake.guest.onReady = () => {
      late.abort(new DOMException('too late', 'TimeoutError'));
      return new Promise(() => undefined);
    };
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    const isLimitOfStart = (ms: number) => (ms === 1_000 ? late.signal : AbortSignal.timeout(ms));
    const order = { plan: planOf([create, { ...start, timeout_seconds: 1 }], { rollback_on_failure: true }) };
    const failed = await new PlanRunner(tools, fakeDeps(fake), isLimitOfStart).execute(
      execution.parse({ ...order, variables: { name: 'web' } }),
      { caller, signal, reserve: () => undefined },
    );
    expect(failed).toMatchObject({ status: 'rolled_back', rolled_back_steps: ['create'] });
    expect(failed.step_results[1]).toMatchObject({ success: false, error: 'not done within 1 s' });
    expect(await names()).toEqual([]);
  });

  test('a script that fails fails its step, with its output', async () => {
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    const script = {
      ...{ step_id: 'script', operation_id: 'execute_script', depends_on: ['start'] },
      parameters: { vm_id: '{{create.id}}', language: 'rhai', code: '1' },
    };
    const failed = await execute(
      [create, start, script],
      { rollback_on_failure: true },
      { variables: { name: 'web' } },
    );
    expect(failed).toMatchObject({ status: 'rolled_back', rolled_back_steps: ['start', 'create'] });
    expect(failed.step_results[2]?.error).toBe('This daemon runs no Rhai scripts');
  });
});
