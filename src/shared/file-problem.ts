/** An error of the file system. */
interface FileError {
  readonly code?: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly message: string;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'it is a file, not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

/** What is wrong with a file or folder, in words; for any other error its message. */
export function fileProblem(error: unknown): string {
  if (!isFileError(error)) return error instanceof Error ? error.message : String(error);
  const { code = '', syscall, message } = error;
  if (code === 'EEXIST') return syscall === 'mkdir' ? 'it is a file, not a folder' : 'it already exists';
  return PROBLEMS[code] ?? message;
}

/** Whether the file system failed at this path, or below it. */
export function isFileErrorAt(path: string, error: unknown): boolean {
  return isFileError(error) && error.path?.startsWith(path) === true;
}

function isFileError(error: unknown): error is FileError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
