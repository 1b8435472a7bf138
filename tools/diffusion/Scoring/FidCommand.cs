using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>diffusion fid: two sets of images in, a distance out.</summary>
internal static class FidCommand
{
    public static Command Create(ToolContext tool)
    {
        var a = new Argument<string>("A") { Description = "Folder (searched recursively), zip, or .npz (mu, sigma or m2, s2)." };
        var b = new Argument<string>("B") { Description = "The same: the reference." };
        var command = new Command("fid", """
            Compare two sets of images by the Fréchet Inception distance, as pytorch-fid, clean-fid or TensorFlow's FID compute it.

            Example: diffusion fid samples/ photos.zip
            """)
        {
            a, b,
        };
        var options = new ScoringOptions(command);
        command.SetAction(result => Run(tool, result.GetValue(a)!, result.GetValue(b)!, options.Read(result)));
        return command;
    }

    /// <summary>Compares and prints the score.</summary>
    public static int Run(ToolContext tool, string a, string b, ScoringRequest request)
    {
        bool needsWeights = !ReferenceStatistics.IsFile(a) || !ReferenceStatistics.IsFile(b);
        var weights = needsWeights ? ScoringOptions.OpenWeights(request.Weights) : null;
        using var device = Device.Open(request.Device, request.Precision);
        using var scorer = new FidScorer(device, weights, request.Options);
        using var interruption = new Interruption();
        FidResult result;
        using (var display = new FidDisplay(tool, request.Json))
            result = scorer.Compare(a, b, display, interruption.Token);
        tool.Out.WriteLine(request.Json ? ToJson(a, b, result) : ToText(a, b, result));
        return ExitCode.Success;
    }

    private static string ToText(string a, string b, FidResult r)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"""
            FID       {r.Fid:R}  (exactly: between {r.Lower:G9} and {r.Upper:G9}){Estimate(a, b, r)}
            A         {a}, {Count(r.CountA)} images
            B         {b}, {Count(r.CountB)} images
            recipe    {r.Recipe}, {r.Dims} dims
            weights   {r.WeightsLabel}, {r.WeightsId}
            computed  on {r.Device}, {(r.FeatureSeconds > 0 ? $"network in {r.Precision}, " : "")}statistics and root in float64
            root      {r.Root}
            seconds   {r.FeatureSeconds:F1} images and features, {r.StatisticsSeconds:F1} statistics, {r.RootSeconds:F1} root
            """);
        long fewest = Math.Min(r.CountA ?? long.MaxValue, r.CountB ?? long.MaxValue);
        return fewest > r.Dims ? text : text + string.Create(CultureInfo.InvariantCulture,
            $"\nnote      {fewest:N0} images are no more than {r.Dims} dims: the distance is mostly the bias of so few")
            + "; compare it with scores of the same numbers of images only";
    }

    private static string Estimate(string a, string b, FidResult r)
    {
        if (r.Extrapolated is null)
            return "";
        string which = ReferenceStatistics.IsFile(a) ? " in B, with A as it is"
            : ReferenceStatistics.IsFile(b) ? " in A, with B as it is" : "";
        return string.Create(CultureInfo.InvariantCulture, $"\nestimate  {r.Extrapolated:G5} ± {r.StandardError:G2}")
            + $" for any number of images{which}: extrapolated from halves, standard error from quarters";
    }

    private static string Count(long? count) => count?.ToString("N0", CultureInfo.InvariantCulture) ?? "unknown";

    private static string ToJson(string a, string b, FidResult r) => new JsonObject
    {
        ["fid"] = r.Fid,
        ["lower"] = r.Lower,
        ["upper"] = r.Upper,
        ["extrapolated"] = r.Extrapolated,
        ["standard_error"] = r.StandardError,
        ["a"] = a,
        ["b"] = b,
        ["count_a"] = r.CountA,
        ["count_b"] = r.CountB,
        ["dims"] = r.Dims,
        ["recipe"] = r.Recipe,
        ["weights"] = r.WeightsId,
        ["weights_label"] = r.WeightsLabel,
        ["device"] = r.Device,
        ["precision"] = r.Precision,
        ["root"] = r.Root,
        ["features_s"] = r.FeatureSeconds,
        ["statistics_s"] = r.StatisticsSeconds,
        ["root_s"] = r.RootSeconds,
    }.ToJsonString(OptionsJson.Settings);
}
