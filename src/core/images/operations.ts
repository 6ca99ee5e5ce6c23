/**
 * The operations on images. An import has the steps `receive` (only for uploads), `build`, `publish` and
 * `clear`. Its files are in a directory named by the operation, so that a restarted daemon can continue it.
 * Only an incomplete upload cannot be continued, because its sender is gone.
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
  /** The published image; null before `publish`. */
  readonly image: Image | null;
}

export interface ImageOperationsDeps {
  readonly images: ImageLibrary;
  readonly turns: ImportTurns;
  /** Limit from the beginning of the import's turn to the finished image, in milliseconds. */
  readonly importTimeoutMs: number;
}

/** 64 GiB at 1 MiB/s take 18 hours; the reader ends a stalled upload much earlier. */
const receiveTimeoutMs = 24 * 60 * 60_000;
/** Enough for a rename and a few small files, or for removing a few million files. */
const fileTimeoutMs = 5 * 60_000;

export class ImageOperations {
  readonly importing: OperationDefinition<Importing>;
  readonly deleting: OperationDefinition<Image>;
  /** Running uploads, by operation. */
  readonly #uploads = new Map<string, AsyncIterable<Uint8Array>>();
  readonly #deps: ImageOperationsDeps;

  constructor(deps: ImageOperationsDeps) {
    this.#deps = deps;
    this.importing = this.#defineImport();
    this.deleting = defineDelete(deps.images);
  }

  /** Definitions for taking up operations after a crash. */
  get definitions(): OperationDefinitions {
    return { 'image.import': this.importing, 'image.delete': this.deleting } as OperationDefinitions;
  }

  /** Runs `work` while the operation's `receive` step reads these bytes. */
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
      const late = () =>
        new AppError('timeout', `the import did not end within ${importTimeoutMs / 1000} s`, {
          hint: 'Try again when the host is less busy, or import a smaller image.',
        });
      const limit = deadline(importTimeoutMs, late, signal);
      try {
        await images.build(operation.id, subject.request, limit.signal);
      } finally {
        limit.clear();
      }
    });
  }
}

/** The operation holds all state: nobody sees an image before it is published. */
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
