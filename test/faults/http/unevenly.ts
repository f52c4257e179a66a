/** Work that is done out of order: every seventh item takes longer. */
export async function unevenly(id: number): Promise<{ id: number }> {
  await new Promise((resolve) => setTimeout(resolve, id % 7 === 0 ? 10 : 0));
  return { id };
}
