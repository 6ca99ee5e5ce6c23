/** Plans of agents: steps that call tools, in an order that their dependencies give. */
import { z } from '@hono/zod-openapi';
import { closed } from '../schema.ts';

export const stepsMax = 100;
const stepId = z.string().min(1).max(128);
const seconds = z.int().min(1).max(3600);

const planStep = closed({
  step_id: stepId.openapi({ example: 'create' }),
  operation_id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ description: 'The name of a tool.', example: 'create_vm' }),
  parameters: z
    .record(z.string(), z.unknown())
    .default({})
    .openapi({
      description:
        'Its arguments. `{{variable}}` stands for a variable, `{{step_id.field}}` for a field of an earlier step’s output.',
      example: { name: 'web' },
    }),
  depends_on: z.array(stepId).max(stepsMax).default([]).openapi({ example: [] }),
  timeout_seconds: seconds
    .nullable()
    .optional()
    .openapi({ description: 'Null or absent: 120.', example: 60 }),
}).openapi('PlanStep');
export type PlanStep = z.infer<typeof planStep>;

export const plan = closed({
  name: z.string().min(1).max(255).openapi({ example: 'make-web' }),
  description: z.string().max(4096).default(''),
  steps: z.array(planStep).min(1).max(stepsMax),
  rollback_on_failure: z.boolean().default(false).openapi({
    description: 'When a step fails, take back the steps before it, newest first.',
    example: true,
  }),
}).openapi('Plan');
export type Plan = z.infer<typeof plan>;

export const execution = closed({
  plan,
  dry_run: z.boolean().default(false).openapi({ description: 'Only validate.' }),
  timeout_seconds: seconds
    .nullable()
    .optional()
    .openapi({ description: 'For all steps. Null or absent: 600.' }),
  variables: z.record(z.string(), z.unknown()).default({}).openapi({ example: {} }),
}).openapi('ExecutePlan');
export type Execution = z.infer<typeof execution>;

const planError = z.object({
  step_id: z.string(),
  error_type: z.enum([
    'unknown_operation',
    'invalid_dependency',
    'circular_dependency',
    'duplicate_step_id',
    'invalid_parameters',
    'insufficient_permissions',
  ]),
  message: z.string(),
});
export type PlanError = z.infer<typeof planError>;

export const validation = z
  .object({
    valid: z.boolean(),
    errors: z.array(planError),
    warnings: z.array(z.string()),
    estimated_duration_ms: z.int().openapi({ description: 'At most: the sum of the steps’ time limits.' }),
    resolved_steps: z
      .array(
        z.object({
          step_id: z.string(),
          operation_id: z.string(),
          preconditions_met: z.boolean(),
          expected_postconditions: z.array(z.string()),
        }),
      )
      .openapi({ description: 'In the order in which they run; without those that cannot.' }),
  })
  .openapi('PlanValidation');
export type Validation = z.infer<typeof validation>;

const stepResult = z.object({
  step_id: z.string(),
  operation_id: z.string(),
  success: z.boolean(),
  duration_ms: z.int(),
  output: z.record(z.string(), z.unknown()).nullable(),
  error: z.string().nullable(),
  rolled_back: z.boolean(),
});
export type StepResult = z.infer<typeof stepResult>;

export const executed = z
  .object({
    execution_id: z.string(),
    plan_name: z.string(),
    status: z.enum(['completed', 'failed', 'validation_failed', 'rolled_back']),
    dry_run: z.boolean(),
    step_results: z.array(stepResult).openapi({ description: 'The steps that ran, in that order.' }),
    duration_ms: z.int(),
    rolled_back_steps: z.array(z.string()),
    validation,
  })
  .openapi('PlanExecution');
export type Executed = z.infer<typeof executed>;
