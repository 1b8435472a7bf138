using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Matrices of known singular values.</summary>
internal static class Spectra
{
    /// <summary>Values that fall evenly on a logarithmic scale from 1 to 1 / condition.</summary>
    public static double[] LogUniform(int count, double condition)
        => [.. Enumerable.Range(0, count).Select(i => Math.Pow(condition, -i / (double)(count - 1)))];

    /// <summary>i^-1.05, the second half falling on to 1/200 of that: a covariance's singular values with a cold tail.</summary>
    public static double[] ColdTail(int count) => [.. Enumerable.Range(0, count)
        .Select(i => Math.Pow(i + 1, -1.05) * (i < count / 2 ? 1 : Math.Pow(10, -2.3 * (i - (count / 2)) / (count - (count / 2)))))];

    /// <summary>U · diag(values) · Vᵀ with dense orthogonal U and V.</summary>
    /// <param name="device">Where the matrix lies.</param>
    /// <param name="values">Singular values.</param>
    /// <param name="columns">At least as many as values.</param>
    public static Matrix Matrix(Device device, double[] values, int columns)
    {
        int rows = values.Length;
        var matrix = new double[rows * columns];
        for (int i = 0; i < rows; i++)
            matrix[(i * columns) + i] = values[i];
        for (int reflection = 0; reflection < 3; reflection++)
        {
            ReflectRows(matrix, rows, columns, Direction(reflection, rows));
            ReflectColumns(matrix, rows, columns, Direction(reflection + 3, columns));
        }
        return new Matrix(device, rows, columns, matrix);
    }

    private static double[] Direction(int stream, int count)
    {
        var key = new RandomKey(7, (uint)stream, 0);
        double[] direction = [.. Enumerable.Range(0, count).Select(i => Philox.Uniform(key, 0, (uint)i) - 0.5)];
        double norm = Math.Sqrt(direction.Sum(x => x * x));
        return [.. direction.Select(x => x / norm)];
    }

    private static void ReflectRows(double[] matrix, int rows, int columns, double[] u)
    {
        for (int j = 0; j < columns; j++)
        {
            double dot = 0;
            for (int i = 0; i < rows; i++)
                dot += u[i] * matrix[(i * columns) + j];
            for (int i = 0; i < rows; i++)
                matrix[(i * columns) + j] -= 2 * dot * u[i];
        }
    }

    private static void ReflectColumns(double[] matrix, int rows, int columns, double[] u)
    {
        for (int i = 0; i < rows; i++)
        {
            var row = matrix.AsSpan(i * columns, columns);
            double dot = 0;
            for (int j = 0; j < columns; j++)
                dot += u[j] * row[j];
            for (int j = 0; j < columns; j++)
                row[j] -= 2 * dot * u[j];
        }
    }
}
