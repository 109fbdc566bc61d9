import { ValidationError } from '../../domain/errors.ts';

/** What `if_version` asks for is not there: another version, or nothing at all. */
export function versionConflict(what: string, details: Readonly<Record<string, unknown>>): ValidationError {
  return new ValidationError(`${what} has another version`, {
    reason: 'version_conflict',
    details: { ...details, field: 'if_version' },
  });
}
