/** Types of the part of WebAssembly that scripts use; Node has it, but the types of Node do not. */
declare global {
  namespace WebAssembly {
    class Module {
      /** Only its type differs from that of an object without fields. */
      private readonly compiled: never;
      static imports(module: Module): readonly { readonly module: string; readonly name: string }[];
    }
    class Instance {
      constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
      readonly exports: Readonly<Record<string, unknown>>;
    }
    interface Memory {
      readonly buffer: ArrayBuffer;
    }
    function compile(bytes: Uint8Array): Promise<Module>;
  }
}

export {};
