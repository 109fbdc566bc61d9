import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileProblem, isFileErrorAt } from '../shared/file-problem.ts';

/** A file or folder that a person named on the command line. */
interface Asked {
  /** The option or the argument, such as `--out`. */
  readonly option: string;
  readonly path: string;
}

/** @throws Error with the option and the reason, and with `hint`: where such a file comes from */
export function readAskedFile({ option, path }: Asked, hint: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`${option}: cannot read ${path}: ${fileProblem(cause)}; ${hint}`, { cause });
  }
}

/** @throws Error with the option and the reason */
export function writeAskedFile({ option, path }: Asked, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new Error(`${option}: cannot write ${path}: ${fileProblem(cause)}`, { cause });
  }
}

/** Works in a folder. An error of the file system there names the option. @throws Error */
export async function inAskedFolder<Result>(
  { option, path }: Asked,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!isFileErrorAt(path, cause) && !isFileErrorAt(resolve(path), cause)) throw cause;
    throw new Error(`${option}: cannot use ${path}: ${fileProblem(cause)}`, { cause });
  }
}
