namespace Diffusion.Gpu;

/// <summary>Pairs the images of a batch with noises so that the distances sum to the least.</summary>
/// <remarks>Kuhn, 1955, by shortest augmenting paths (Jonker and Volgenant, 1987): O(n³), the optimum of scipy's
/// linear_sum_assignment.</remarks>
internal static class NoiseAssignment
{
    /// <summary>The noise of each image, by euclidean distance.</summary>
    /// <param name="images">n rows.</param>
    /// <param name="noises">n rows of the same length.</param>
    /// <param name="count">n.</param>
    public static int[] Nearest(ReadOnlySpan<float> images, ReadOnlySpan<float> noises, int count)
    {
        int length = images.Length / count;
        var cost = new double[count, count];
        for (int i = 0; i < count; i++)
        {
            for (int j = 0; j < count; j++)
                cost[i, j] = Distance(images.Slice(i * length, length), noises.Slice(j * length, length));
        }
        return Solve(cost);
    }

    /// <summary>The column of each row such that the costs sum to the least.</summary>
    public static int[] Solve(double[,] cost)
    {
        int n = cost.GetLength(0);
        var rowPotential = new double[n];
        var columnPotential = new double[n];
        var rowOf = Enumerable.Repeat(-1, n).ToArray();
        for (int row = 0; row < n; row++)
            Augment(cost, row, rowPotential, columnPotential, rowOf);
        var columnOf = new int[n];
        for (int column = 0; column < n; column++)
            columnOf[rowOf[column]] = column;
        return columnOf;
    }

    /// <summary>Assigns one more row along the shortest path of reduced costs to a free column (Dijkstra).</summary>
    private static void Augment(double[,] cost, int row, double[] rowPotential, double[] columnPotential, int[] rowOf)
    {
        int n = rowOf.Length;
        var distance = Enumerable.Repeat(double.PositiveInfinity, n).ToArray();
        var via = new int[n];
        var done = new bool[n];
        int current = row, column;
        double reached = 0;
        do
        {
            column = -1;
            for (int j = 0; j < n; j++)
            {
                if (done[j])
                    continue;
                double path = reached + cost[current, j] - rowPotential[current] - columnPotential[j];
                if (path < distance[j])
                    (distance[j], via[j]) = (path, current);
                if (column < 0 || distance[j] < distance[column])
                    column = j;
            }
            done[column] = true;
            reached = distance[column];
            current = rowOf[column];
        }
        while (current >= 0);

        rowPotential[row] += reached;
        for (int j = 0; j < n; j++)
        {
            if (!done[j] || j == column)
                continue;
            rowPotential[rowOf[j]] += reached - distance[j];
            columnPotential[j] -= reached - distance[j];
        }
        while (column >= 0)
        {
            int taker = via[column];
            int released = Array.IndexOf(rowOf, taker); // none for the new row, where the path began
            rowOf[column] = taker;
            column = released;
        }
    }

    private static double Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double difference = (double)a[i] - b[i];
            sum += difference * difference;
        }
        return Math.Sqrt(sum);
    }
}
