import { readFileSync } from 'node:fs';

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'it may not be read',
};

/** Text of a file that a person named. @throws Error that says why not, and with `hint` where such a file comes from */
export function readAskedFile(file: string, hint: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    throw new Error(`${file} is not read: ${WHY[code] ?? message}; ${hint}`, { cause });
  }
}
