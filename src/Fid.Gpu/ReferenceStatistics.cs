using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid;

/// <summary>Statistics out of files, checked against what they are to be compared with.</summary>
public static class ReferenceStatistics
{
    /// <summary>Whether a path names a file of statistics rather than images.</summary>
    public static bool IsFile(string path) => Path.GetExtension(path).Equals(".npz", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads statistics of features that were made in a certain way.</summary>
    /// <param name="path">An .npz file.</param>
    /// <param name="dims">Features per image.</param>
    /// <param name="recipe">How images are prepared.</param>
    /// <param name="weightsId">The network's weights.</param>
    /// <exception cref="WeightsException">The file holds no statistics, those of other dims, or it says that it was made by another recipe
    /// or with other weights. A file that does not say is trusted.</exception>
    public static GaussianStatistics Read(string path, int dims, FidRecipe recipe, string weightsId)
    {
        var statistics = GaussianStatistics.Read(path);
        Check(path, statistics, dims, recipe, weightsId);
        return statistics;
    }

    internal static void Check(string path, GaussianStatistics statistics, int dims, FidRecipe recipe, string weightsId)
    {
        if (statistics.Dims != dims)
        {
            throw new WeightsException(path, null, $"holds statistics of {statistics.Dims} dims",
                $"expected {dims}: use the same dims for both sides");
        }
        if (statistics.Recipe is { } made && made != recipe.Name())
        {
            throw new WeightsException(path, null, $"was made by the recipe {made}",
                $"expected {recipe.Name()}: use the same recipe for both, scores of two do not compare");
        }
        if (statistics.Weights is { } weights && weights != weightsId)
        {
            throw new WeightsException(path, null, $"was made with the weights {weights}",
                $"expected {weightsId}: use the same weights for both");
        }
    }
}
