/**
 * The operations on images. An import is `receive` (the upload, if there is one), `build`, `publish` and `clear`; its
 * parts lie in a directory that is named by the operation, so a restarted daemon continues where the last one stopped.
 * Only an upload that was not whole cannot be continued: its sender is gone.
 */
import { deadline } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';
import type {
  OperationDefinition,
  OperationDefinitions,
  StepContext,
  SubjectPort,
} from '../operations/definition.ts';
import type { Operation } from '../operations/operation.ts';
import type { Image, ImageImport, ImageLibrary } from '../ports/images.ts';
import { type ImportTurns, turnTimeoutsDefault } from './turns.ts';

export interface Importing {
  readonly request: ImageImport;
  /** What was published; null until then. */
  readonly image: Image | null;
}

export interface ImageOperationsDeps {
  readonly images: ImageLibrary;
  readonly turns: ImportTurns;
  /** From the host's turn to the image, in milliseconds. */
  readonly importTimeoutMs: number;
}

/** An upload of 64 GiB at 1 MiB/s takes 18 hours; one that stalls is ended by its reader much earlier. */
const receiveTimeoutMs = 24 * 60 * 60_000;
/** A rename and a few small files, or the removal of a few million. */
const fileTimeoutMs = 5 * 60_000;

export class ImageOperations {
  readonly importing: OperationDefinition<Importing>;
  readonly deleting: OperationDefinition<Image>;
  /** What callers send now, by operation. */
  readonly #uploads = new Map<string, AsyncIterable<Uint8Array>>();
  readonly #deps: ImageOperationsDeps;

  constructor(deps: ImageOperationsDeps) {
    this.#deps = deps;
    this.importing = this.#defineImport();
    this.deleting = defineDelete(deps.images);
  }

  /** For whoever takes up what a crash left open. */
  get definitions(): OperationDefinitions {
    return { 'image.import': this.importing, 'image.delete': this.deleting } as OperationDefinitions;
  }

  /** Runs `work`, during which the operation's `receive` step reads these bytes. */
  async withUpload<T>(
    operationId: string,
    chunks: AsyncIterable<Uint8Array> | null,
    work: () => Promise<T>,
  ): Promise<T> {
    if (chunks) this.#uploads.set(operationId, chunks);
    try {
      return await work();
    } finally {
      this.#uploads.delete(operationId);
    }
  }

  #defineImport(): OperationDefinition<Importing> {
    const { images } = this.#deps;
    return {
      kind: 'image.import',
      subject: importSubject,
      steps: [
        {
          name: 'receive',
          timeoutMs: receiveTimeoutMs,
          do: (context) => this.#receive(context),
          undo: ({ operation }) => images.discard(operation.id),
        },
        {
          name: 'build',
          timeoutMs: this.#deps.importTimeoutMs + turnTimeoutsDefault.hostMs + fileTimeoutMs,
          do: (context) => this.#build(context),
        },
        {
          name: 'publish',
          timeoutMs: fileTimeoutMs,
          do: async ({ subject, operation }) => ({
            output: await images.publish(operation.id, subject.request),
          }),
          async undo({ subject, operation }) {
            const image = subject.image ?? (await images.made(operation.id, subject.request));
            if (image) await images.remove(image);
          },
        },
        {
          name: 'clear',
          timeoutMs: fileTimeoutMs,
          do: ({ operation }) => images.discard(operation.id),
        },
      ],
    };
  }

  async #receive({ subject, operation, signal }: StepContext<Importing>): Promise<void> {
    const { images } = this.#deps;
    if (subject.request.source.kind !== 'upload' || (await images.hasReceived(operation.id))) return;
    const chunks = this.#uploads.get(operation.id);
    if (chunks) return images.receive(operation.id, chunks, signal);
    throw new AppError('unavailable', 'the upload was interrupted: the daemon was restarted', {
      hint: 'Upload the image again.',
    });
  }

  #build({ subject, operation, signal }: StepContext<Importing>): Promise<void> {
    const { images, turns, importTimeoutMs } = this.#deps;
    return turns.ofHost(signal, async () => {
      const late = () => new AppError('timeout', `the import did not end within ${importTimeoutMs / 1000} s`);
      const limit = deadline(importTimeoutMs, late, signal);
      try {
        await images.build(operation.id, subject.request, limit.signal);
      } finally {
        limit.clear();
      }
    });
  }
}

/** All of it is in the operation: nobody sees an image before it is published. */
const importSubject: SubjectPort<Importing> = {
  read: async (_repositories, operation) => importingOf(operation),
  keep: async () => undefined,
  succeed: async (_tx, operation) => importingOf(operation),
  fail: async () => undefined,
};

function importingOf({ params, steps }: Operation): Importing {
  const published = steps.find(({ name }) => name === 'publish');
  return {
    request: (params as { readonly request: ImageImport }).request,
    image: (published?.output ?? null) as Image | null,
  };
}

function defineDelete(images: ImageLibrary): OperationDefinition<Image> {
  const imageOf = async (_: unknown, { params }: Operation) => (params as { readonly image: Image }).image;
  return {
    kind: 'image.delete',
    subject: { read: imageOf, keep: async () => undefined, succeed: imageOf, fail: async () => undefined },
    steps: [{ name: 'content', timeoutMs: fileTimeoutMs, do: ({ subject }) => images.remove(subject) }],
  };
}
