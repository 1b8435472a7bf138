using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Diffusion.Gpu.Cli;

/// <summary>A file of weights that others publish, and how to know that it is the right one.</summary>
/// <param name="Url">Where it is.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="HashPrefix">What its SHA-256 begins with, in lower-case hexadecimal digits; PyTorch puts them into the file's name.</param>
internal sealed record PublishedWeights(Uri Url, long Length, string HashPrefix)
{
    /// <summary>The Inception-v3 that pytorch-fid scores with.</summary>
    public static readonly PublishedWeights Inception = new(
        new Uri("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"),
        95_628_359, "6726825d");

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>What to do where the download does not work.</summary>
    public string ByHand => $"download it by hand on any machine, from {Url}, and run: diffusion weights fetch --from FILE";

    /// <summary>Refuses a file that is not the published one.</summary>
    /// <exception cref="IOException">Its length or its hash is another.</exception>
    public void Check(string file)
    {
        long length = new FileInfo(file).Length;
        if (length != Length)
            throw new IOException($"{file}: has {length} bytes, the published file has {Length}; {ByHand}");
        using var stream = File.OpenRead(file);
        string hash = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (!hash.StartsWith(HashPrefix, StringComparison.Ordinal))
            throw new IOException($"{file}: its SHA-256 begins with {hash[..HashPrefix.Length]}, "
                + $"the published file's with {HashPrefix}; {ByHand}");
    }

    /// <summary>Downloads the file, going on where an earlier attempt stopped.</summary>
    /// <param name="partial">What is there so far; it stays when the download is interrupted.</param>
    /// <param name="progress">Told of the bytes that are there.</param>
    /// <param name="cancellation">Stops after the block under way.</param>
    /// <exception cref="IOException">The server cannot be reached, has another file, or goes silent.</exception>
    public async Task DownloadAsync(string partial, IProgress<long> progress, CancellationToken cancellation)
    {
        using var stall = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            long there = File.Exists(partial) ? new FileInfo(partial).Length : 0, start = there < Length ? there : 0;
            using var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
            using var request = new HttpRequestMessage(HttpMethod.Get, Url);
            request.Headers.UserAgent.Add(new ProductInfoHeaderValue("diffusion", null));
            if (start > 0)
                request.Headers.Range = new RangeHeaderValue(start, null);
            stall.CancelAfter(Patience);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stall.Token);
            response.EnsureSuccessStatusCode();
            start = Accept(response, start);
            using var file = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None);
            file.SetLength(start);
            file.Position = start;
            await using var body = await response.Content.ReadAsStreamAsync(stall.Token);
            var block = new byte[1 << 18];
            for (int read; ;)
            {
                stall.CancelAfter(Patience);
                read = await body.ReadAsync(block, stall.Token);
                if (read == 0)
                    break;
                await file.WriteAsync(block.AsMemory(0, read), cancellation);
                progress.Report(file.Position);
                if (file.Position > Length)
                    throw new InvalidDataException($"the server sends more than the {Length} bytes of the published file");
            }
            if (file.Position < Length)
                throw new IOException($"the connection ended after {file.Position} of {Length} bytes");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"{Url}: nothing came for {Patience.TotalSeconds} s; run the same command again to go on, or {ByHand}");
        }
        catch (Exception error) when (error is HttpRequestException or IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Url}: cannot be downloaded ({error.Message.TrimEnd('.')}); "
                + $"run the same command again to go on, or {ByHand}", error);
        }
        catch (InvalidDataException error)
        {
            throw new IOException($"{Url}: is not what was published ({error.Message}); {ByHand}", error);
        }
    }

    /// <summary>Where the body begins: behind what was asked for, or at the start where the server does not resume.</summary>
    private long Accept(HttpResponseMessage response, long start)
    {
        bool resumes = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == start;
        long from = resumes ? start : 0;
        long? whole = response.Content.Headers.ContentLength is { } rest ? from + rest : null;
        return response.StatusCode == HttpStatusCode.PartialContent && !resumes
            ? throw new InvalidDataException("the server sends another part than was asked for")
            : whole is null || whole == Length ? from
            : throw new InvalidDataException($"the server has {whole} bytes where the published file has {Length}");
    }
}
