using System.CommandLine;
using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.WeightConverter;

namespace Diffusion.Gpu.Cli;

/// <summary>diffusion weights fetch: gets Inception's published weights and keeps them where scores look for them.</summary>
internal static class WeightsCommand
{
    public static Command Create(ToolContext tool)
    {
        var from = new Option<string>("--from")
        {
            Description = $"The file, downloaded already: {PublishedWeights.Inception.Url}",
            HelpName = "FILE",
        };
        var anyHash = new Option<bool>("--accept-any-hash")
        {
            Description = "Take the file of --from whatever its length and hash: scores then compare with those of the same file only.",
        };
        var again = new Option<bool>("--force") { Description = "Fetch again what is there already." };
        var fetch = new Command("fetch", $"""
            Download Inception-v3 as pytorch-fid publishes it ({PublishedWeights.Inception.Length
                / 1e6:0} MB), check its hash, convert it and keep it in
            the cache folder (DIFFUSION_CACHE, or the user's folder for application data).

            Example: diffusion weights fetch
            """)
        {
            from, anyHash, again,
        };
        fetch.SetAction((result, _) => FetchAsync(tool, PublishedWeights.Inception, InceptionWeights.DefaultPath, result.GetValue(from),
            result.GetValue(anyHash), result.GetValue(again)));
        return new Command("weights", "Get the weights that scores need.") { fetch };
    }

    /// <summary>Puts the converted weights into the cache.</summary>
    /// <param name="tool">Where to write.</param>
    /// <param name="published">The file.</param>
    /// <param name="destination">Where the converted weights go.</param>
    /// <param name="from">A file that was downloaded already, or null.</param>
    /// <param name="anyHash">Whether that file may be any.</param>
    /// <param name="again">Whether weights that are there are replaced.</param>
    public static async Task<int> FetchAsync(ToolContext tool, PublishedWeights published, string destination, string? from, bool anyHash,
        bool again)
    {
        if (anyHash && from is null)
            throw new UsageException("--accept-any-hash goes with --from FILE: what is downloaded is always checked.");
        if (!again && File.Exists(destination))
        {
            tool.Out.WriteLine($"{destination}: there already, weights {InceptionWeights.Read(destination).Id} (--force fetches again)");
            return ExitCode.Success;
        }
        if (from is not null && !File.Exists(from))
            throw new IOException($"{from}: there is no such file; check the path.");
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(destination))!);
        string file = from ?? await DownloadAsync(tool, published, Path.ChangeExtension(destination, ".pth.download"));
        if (file.Length == 0)
            return ExitCode.Interrupted;
        if (!anyHash)
            Verify(published, file, discard: from is null);
        var id = Convert(file, destination);
        if (from is null)
            File.Delete(file);
        tool.Out.WriteLine($"{destination}: Inception-v3, weights {id}");
        tool.Out.WriteLine("score with: diffusion fid A B   (two folders, archives or .npz files)");
        return ExitCode.Success;
    }

    /// <returns>The downloaded file; empty where Ctrl-C came first.</returns>
    private static async Task<string> DownloadAsync(ToolContext tool, PublishedWeights published, string partial)
    {
        using var line = new StatusLine(tool.Error, StatusLine.ModeFor(json: false));
        using var interruption = new Interruption(() => line.Line("stopping …"));
        string name = Path.GetFileName(published.Url.LocalPath);
        try
        {
            await published.DownloadAsync(partial, new SynchronousProgress<long>(done => line.Rewrite((double)done / published.Length,
                string.Create(CultureInfo.InvariantCulture, $"{name}: {done / 1e6:0} of {published.Length / 1e6:0} MB"),
                done == published.Length)),
                interruption.Token);
            return partial;
        }
        catch (OperationCanceledException)
        {
            line.Line(string.Create(CultureInfo.InvariantCulture,
                $"stopped after {new FileInfo(partial).Length / 1e6:0} MB; run the same command again to go on"));
            return "";
        }
    }

    private static void Verify(PublishedWeights published, string file, bool discard)
    {
        try
        {
            published.Check(file);
        }
        catch (IOException error)
        {
            if (discard)
                File.Delete(file);
            throw discard ? error
                : new IOException($"{error.Message}; or add --accept-any-hash to score with this file all the same", error);
        }
    }

    /// <summary>Converts beside the destination first, so that weights which do not fit replace none that do.</summary>
    private static string Convert(string file, string destination)
    {
        string fresh = Path.ChangeExtension(destination, ".fresh.safetensors");
        try
        {
            Conversion.Run(new ConversionRequest(file, fresh) { From = SourceModel.Inception, To = TargetFormat.Safetensors });
            string id = InceptionWeights.Read(fresh).Id;
            File.Move(fresh, destination, overwrite: true);
            return id;
        }
        finally
        {
            File.Delete(fresh);
        }
    }
}
