import { PackageMissingError } from './errors.ts';

/**
 * A package that only `user` needs, and so may not be installed.
 *
 * @throws `PackageMissingError`
 */
export async function needed<Module>(user: string, name: string, loading: Promise<Module>): Promise<Module> {
  try {
    return await loading;
  } catch (error) {
    throw isMissing(error, name) ? new PackageMissingError(user, name, error) : error;
  }
}

/** Not there, rather than there and broken. */
function isMissing(error: unknown, name: string): boolean {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  return /^(ERR_)?MODULE_NOT_FOUND$/.test(String(code)) && String(message).includes(`'${name}'`);
}
