import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { dumpPythonJsonFile, loadPythonJson } from './python-json.ts';
import type { PythonValue } from './python-values.ts';

export interface JsonStoreFileSettings {
  readonly path: string;
  /**
   * 0 writes on every change, like the originals. Otherwise it writes at most once per this many milliseconds, for benchmarks.
   */
  readonly saveEveryMs: number;
}

/** A service's memory as one JSON file, which is rewritten in place. A crash or an invalid character leaves half a file. */
export class JsonStoreFile {
  readonly #settings: JsonStoreFileSettings;
  #timer: NodeJS.Timeout | undefined;
  #pending: PythonValue = null;

  constructor(settings: JsonStoreFileSettings) {
    this.#settings = settings;
  }

  /** The file's content; undefined if there is no file. @throws PythonError if it is not JSON */
  load(): PythonValue | undefined {
    if (!existsSync(this.#settings.path)) return undefined;
    return loadPythonJson(readFileSync(this.#settings.path));
  }

  /** @throws PythonError if UTF-8 cannot represent the text. The file is truncated there then */
  save(value: PythonValue): void {
    if (this.#settings.saveEveryMs === 0) return this.#write(value);
    this.#pending = value;
    this.#timer ??= setTimeout(() => this.flush(), this.#settings.saveEveryMs);
  }

  /** Writes what `saveEveryMs` still delays. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write(this.#pending);
  }

  #write(value: PythonValue): void {
    const { path } = this.#settings;
    const { text, error } = dumpPythonJsonFile(value);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (error !== undefined) throw error;
  }
}
