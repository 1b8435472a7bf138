namespace Diffusion.Gpu.Tests;

[TestFixture]
public class DiffusionAssignmentTests
{
    [Test]
    public void Assignment_costs_the_least_of_all_permutations()
    {
        var random = new Random(7);
        for (int trial = 0; trial < 200; trial++)
        {
            int n = 1 + (trial % 6);
            var cost = new double[n, n];
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                    cost[i, j] = trial % 2 == 0 ? random.NextDouble() : random.Next(4); // every other one with ties
            }
            int[] columns = NoiseAssignment.Solve(cost);
            Assert.That(columns.Order(), Is.EqualTo(Enumerable.Range(0, n)));
            double least = Permutations(n).Min(p => Total(cost, p));
            Assert.That(Total(cost, columns), Is.EqualTo(least).Within(1e-12), $"trial {trial}");
        }
    }

    [Test]
    public void Assignment_finds_shuffled_rows()
    {
        const int Count = 64, Length = 12;
        var random = new Random(3);
        float[] images = [.. Enumerable.Range(0, Count * Length).Select(_ => (float)random.NextDouble())];
        int[] order = [.. Enumerable.Range(0, Count)];
        random.Shuffle(order);
        var noises = new float[images.Length];
        for (int i = 0; i < Count; i++)
            images.AsSpan(i * Length, Length).CopyTo(noises.AsSpan(order[i] * Length));
        Assert.That(NoiseAssignment.Nearest(images, noises, Count), Is.EqualTo(order));
    }

    private static double Total(double[,] cost, int[] columns) => columns.Select((column, row) => cost[row, column]).Sum();

    private static IEnumerable<int[]> Permutations(int n) => n == 0
        ? [[]]
        : Permutations(n - 1).SelectMany(p => Enumerable.Range(0, n).Select(at => p[..at].Append(n - 1).Concat(p[at..]).ToArray()));
}
