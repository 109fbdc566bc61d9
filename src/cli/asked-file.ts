import { readFileSync } from 'node:fs';

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

/** Text of a file named on the command line. @throws Error with the reason, and with `hint`: where such a file comes from */
export function readAskedFile(file: string, hint: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    throw new Error(`cannot read ${file}: ${WHY[code] ?? message}; ${hint}`, { cause });
  }
}
