/** The manifests that agents look for at `/.well-known`. Pure. */
import type { Tool } from './tool.ts';

const description =
  'Create, start, stop, pause and delete virtual machines on this host, and run scripts and commands in them.';

/** Addresses are relative to this server. */
export function pluginManifest() {
  return {
    schema_version: 'v1',
    name_for_human: 'HyperMachine',
    name_for_model: 'hypermachine',
    description_for_human: description,
    description_for_model: `${description} The tools and their arguments are in the API's document.`,
    auth: { type: 'service_http', authorization_type: 'bearer' },
    api: { type: 'openapi', url: '/agentic/openapi.yaml' },
    logo_url: '/docs/assets/favicon-32x32.png',
    contact_email: 'root@localhost',
    legal_info_url: '/docs',
  };
}

export function agentCard(tools: readonly Tool[], version: string) {
  return {
    name: 'hypermachine',
    version,
    description,
    url: '/agentic',
    capabilities: { streaming: false, push_notifications: false, state_transition_history: false },
    skills: tools.map(({ name, description: text, scope }) => ({
      id: name,
      name: name.replaceAll('_', ' '),
      description: text,
      tags: [scope],
      examples: [],
    })),
    authentication: { type: 'bearer', schemes: ['bearer'] },
    default_input_modes: ['application/json'],
    default_output_modes: ['application/json'],
  };
}
