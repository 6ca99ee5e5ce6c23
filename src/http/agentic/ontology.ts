/**
 * The ontology: what this server has and can do, as JSON-LD. Made from the API's document, the table of tools and
 * core's states, so that it says nothing that is not so. Pure.
 */
import { vmStates } from '../dialects/hypermachine/schema.ts';
import type { OpenApiDocument } from '../openapi.ts';
import { operationsIn, transitionsFrom } from './affordances.ts';
import { dereferenced, operationsOf } from './ontology-operations.ts';

const context = {
  '@vocab': 'https://schema.nervosys.ai/hypermachine#',
  schema: 'https://schema.org/',
  hm: 'https://nervosys.ai/hypermachine/ontology/',
  dcterms: 'http://purl.org/dc/terms/',
};

const stateTexts: Readonly<Record<(typeof vmStates)[number], string>> = {
  creating: 'Its disk is being made.',
  created: 'It has not run yet.',
  starting: 'Its guest is booting.',
  running: 'Its guest is ready.',
  paused: 'Its processors stand still, and its memory is kept.',
  stopping: 'It is being stopped or deleted.',
  stopped: 'It does not run, and its disk is kept.',
  error: 'It failed, and says why.',
};

export interface OntologyOptions {
  readonly document: OpenApiDocument;
  readonly version: string;
  /** Whether requests need a key. */
  readonly isKeyRequired: boolean;
}

export function ontology({ document, version, isKeyRequired }: OntologyOptions) {
  const operations = operationsOf(document, '/api/v1/vms');
  return {
    '@context': context,
    system: {
      name: 'HyperMachine',
      version,
      description: document.info.description ?? '',
      documentation_url: '/docs',
      api_base_url: '/api/v1',
      supported_protocols: ['REST'],
      authentication: {
        required: isKeyRequired,
        methods: [
          { method_type: 'bearer', description: 'A key of this server.', header_name: 'Authorization' },
          { method_type: 'api_key', description: 'The same key.', header_name: 'X-API-Key' },
        ],
        token_endpoint: null,
      },
    },
    capabilities: capabilities(operations.map(({ id }) => id)),
    resources: [
      {
        id: 'vm',
        name: 'Virtual machine',
        description: 'A machine of this host with its own kernel, disk and memory.',
        schema: dereferenced(document, { $ref: '#/components/schemas/Vm' }),
        lifecycle_states: [...vmStates],
        relationships: [],
      },
    ],
    operations,
    state_machines: [
      {
        resource_type: 'vm',
        states: vmStates.map((name) => ({
          name,
          description: stateTexts[name],
          allowed_operations: operationsIn(name),
        })),
        transitions: vmStates.flatMap((name) => transitionsFrom(name)),
        initial_state: vmStates[0],
        terminal_states: [],
      },
    ],
    events: [],
  };
}

const capabilityTable = [
  {
    ...{
      id: 'vm_management',
      name: 'Virtual machines',
      category: 'virtual_machine',
      scope: 'machines:write',
    },
    description: 'Create, list, show and delete virtual machines.',
    operations: ['list_vms', 'create_vm', 'get_vm', 'delete_vm'],
  },
  {
    ...{ id: 'vm_lifecycle', name: 'Life of virtual machines', category: 'compute', scope: 'machines:write' },
    description: 'Start, stop, restart, pause and resume them.',
    operations: ['start_vm', 'stop_vm', 'restart_vm', 'pause_vm', 'resume_vm'],
  },
  {
    ...{ id: 'agent_execution', name: 'Scripts', category: 'agent_execution', scope: 'machines:exec' },
    description: 'Run scripts in a virtual machine, or in a sandbox beside it.',
    operations: ['execute_script'],
  },
  {
    ...{ id: 'metrics_monitoring', name: 'Metrics', category: 'monitoring', scope: 'machines:read' },
    description: 'Measure what a virtual machine uses.',
    operations: ['get_metrics'],
  },
] as const;

/** Names only operations that there are. */
function capabilities(known: readonly string[]) {
  return capabilityTable.map(({ scope, operations, ...rest }) => ({
    ...rest,
    operations: operations.filter((id) => known.includes(id)),
    prerequisites: [],
    permissions_required: [scope],
  }));
}
