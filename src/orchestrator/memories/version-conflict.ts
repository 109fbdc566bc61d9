import { ValidationError } from '../../domain/errors.ts';

/** The error if `if_version` does not match: another version, or no object. */
export function versionConflict(what: string, details: Readonly<Record<string, unknown>>): ValidationError {
  return new ValidationError(`${what} has another version`, {
    reason: 'version_conflict',
    details: { ...details, field: 'if_version' },
  });
}
