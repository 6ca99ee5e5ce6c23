/** Templates: what machines made from one have in common. Ids and names are interchangeable. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreateTemplate, Template, TemplateList } from './types.ts';

export class Templates {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(template: CreateTemplate, options?: CallOptions): Promise<Template> {
    return call(this.#transport, 'createTemplate', { body: template }, deadlinesMs.write, options);
  }

  /** Returns one page, newest first; `total` is the number of all templates. */
  list(query: QueryOf<'listTemplates'> = {}, options?: CallOptions): Promise<TemplateList> {
    return call(this.#transport, 'listTemplates', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Template> {
    return call(this.#transport, 'getTemplate', { path: { id } }, deadlinesMs.read, options);
  }

  /** Machines made from it stay as they are. */
  delete(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteTemplate', { path: { id } }, deadlinesMs.write, options);
  }
}
