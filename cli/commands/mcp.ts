/** `mcp`: offers the daemon's tools to a program that speaks MCP over its standard input and output. */
import { once } from 'node:events';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { McpBridge } from '../mcp-bridge.ts';
import { patientFetch, socketFetch } from '../patient-fetch.ts';

export function define(context: Context): Command {
  return new Command('mcp')
    .description(
      'Offer the daemon’s tools to an AI client that starts this program: MCP messages come on stdin and go to stdout, ' +
        'until stdin ends. Uses the current profile’s daemon and key.',
    )
    .action(() => forward(context));
}

async function forward(context: Context): Promise<void> {
  const { config, streams, signal } = context;
  const { url, key, socketPath } = config;
  const bridge = new McpBridge(new StdioServerTransport(streams.stdin as never, streams.stdout as never), {
    ...{ url, key },
    fetch: socketPath === null ? patientFetch : socketFetch(socketPath),
    note: (text) => context.note(text),
  });
  const ended = once(streams.stdin, 'end', { signal });
  // The signal is the way to end it from outside, and no failure.
  const over = ended.then(
    () => undefined,
    () => undefined,
  );
  await bridge.start();
  await over;
  await bridge.close();
}
