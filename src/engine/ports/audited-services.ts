import type { ServiceName } from '../../domain/ids.ts';

/** One act on several services is one entry of the audit: it names all of them, and is found by each. */
export function auditedServices<Details extends object>(
  services: readonly ServiceName[],
  details: Details,
): { readonly service: string; readonly details: Details & { readonly services?: readonly ServiceName[] } } {
  return services.length === 1
    ? { service: services[0] ?? '', details }
    : { service: services.join(', '), details: { ...details, services } };
}
